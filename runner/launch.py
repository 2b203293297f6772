"""From the command to the running send: who may run, what was planned, what was done before."""

import asyncio
import json
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runner import claim, journal
from runner.campaign import Campaign, content_digest, open_campaign, stale_parts
from runner.control import Control
from runner.errors import BAD_DATA, BUSY, OK, Refused
from runner.journal import Identity, Journal, JournalError, Replay, replay
from runner.output import DeliveryLog, Output, RunLog
from runner.progress import Counts, closing_lines
from runner.send import Sender
from runner.settings import Settings, Smtp, read_credentials
from runner.survey import Survey, survey

_ROW_BYTES = 320  # of journal, at most, for the usual course of a row


@dataclass
class Result:
    """`counts` is None when nothing was begun."""

    rc: int
    counts: Counts
    seconds: float
    reason: str | None
    lines: list[str]
    smtp: Smtp
    sender: str


def send(
    settings: Settings,
    control: Control,
    output: Output,
    *,
    tick: Callable[[int], None],
    capabilities: str,
    version: str,
    born: float,
) -> Result:
    """Send or resume a campaign. Raises Refused before the first mail; afterwards the result says how it ended.

    `born` is when this process began (Unix seconds).
    """
    smtp = read_credentials(settings.credentials)
    run, attempt = _who_may_run(settings)
    claim.refuse_if_held(settings.holds_dir, settings.slug)
    campaign = open_campaign(settings.campaigns_dir, settings.slug)
    try:
        found = survey(campaign, tick=tick, now=datetime.now(UTC))
        _refuse_bad(found)
        if run is None:
            run = claim.claim(settings.state_dir / settings.slug, settings.slug, attempt, datetime.now(UTC))
        _refuse_stale(run, campaign, found)
        old = _former(run, settings.mode, campaign, found, output)
        claim.record_start(run, datetime.now(UTC))
        claim.durable_write(run.path / "runner.json", capabilities + "\n")
        if not run.supervised:
            output.copy_to(run.path / "out")
        log = RunLog(settings.log_dir / f"{settings.slug}.log", output)
        counts: Counts | None = None
        rc = 70  # unless we get further
        try:
            states, counts = _starting_point(run, campaign, found, old)
            log.line(
                f"{settings.mode} started: run {run.run_id}, attempt {run.attempt}, "
                f"{counts.total - counts.processed} of {counts.total} recipients to send"
            )
            control.follow(run.path / "control", since=born if old else 0.0)
            began = time.monotonic()
            book = _open_journal(run, campaign, found, old, states, version)
            delivery = DeliveryLog(run.path / "delivery.jsonl", output) if settings.log_delivery else None
            assert found.composer is not None
            found.composer.run_id = run.run_id
            sender = Sender(
                settings,
                smtp,
                campaign,
                found,
                book,
                states,
                old.attempts if old else {},
                counts,
                control,
                output,
                delivery,
            )
            rc, reason = asyncio.run(sender.run())
            seconds = time.monotonic() - began
            lines = closing_lines(counts, seconds, sender.progress.done_here)
            if reason:
                lines.insert(0, f"Stopped: {reason}")
            for line in lines:
                log.line(line)
            return Result(rc, counts, seconds, reason, lines, smtp, campaign.metadata.from_)
        except Refused as error:
            rc = error.code
            log.line(f"Stopped: {error}")
            raise
        finally:
            claim.record_end(run, rc, counts.as_dict() if counts else None, datetime.now(UTC))
    finally:
        campaign.close()


def _who_may_run(settings: Settings) -> tuple[claim.RunDir | None, int]:
    """The attempt to work on, or the number of the one to claim. Takes the lock when nobody did for us."""
    if settings.run_dir is not None:
        return claim.existing(settings.run_dir, settings.run_id, supervised=True), 0
    slug_dir = settings.state_dir / settings.slug
    claim.lock(slug_dir)  # kept by this process until it ends
    if settings.mode == "send":
        return None, claim.next_attempt(slug_dir)
    last = claim.latest(slug_dir)
    if last is None:
        raise Refused(BAD_DATA, f"there is nothing to resume: {slug_dir} has no attempt")
    return claim.existing(last, None, supervised=False), 0


def _refuse_bad(found: Survey) -> None:
    """A table that can't be read to its end or a template that fails: nothing is sent at all."""
    if found.unreadable:
        raise Refused(BAD_DATA, f"blast_data.csv: {found.unreadable}")
    if found.broken:
        raise Refused(BAD_DATA, found.broken)
    if not found.audience:
        raise Refused(BAD_DATA, f"none of the {found.rows} rows can be mailed; --mode dry-run says why")


def _refuse_stale(run: claim.RunDir, campaign: Campaign, found: Survey) -> None:
    try:
        plan = json.loads((run.path / "plan.json").read_bytes())
    except FileNotFoundError:
        return  # nobody planned it: started by hand or by cron
    except (OSError, ValueError) as error:
        raise Refused(BAD_DATA, f"plan.json can't be read: {type(error).__name__}; make a new plan") from None
    if not isinstance(plan, dict):
        raise Refused(BAD_DATA, "plan.json holds no plan; make a new plan")
    if stale := list(stale_parts(plan, campaign.digests, found.audience)):
        raise Refused(BAD_DATA, f"plan is stale: {'; '.join(stale)}. Nothing was sent; dry-run and plan again")


def _former(run: claim.RunDir, mode: str, campaign: Campaign, found: Survey, output: Output) -> Replay | None:
    """What earlier processes of this attempt did; None when nothing was begun. Raises Refused (65, 70, 75)."""
    path, marker = run.path / "journal", (run.path / "run.json").exists()
    there = path.exists() and path.stat().st_size > 0
    if not there:
        if marker:
            raise JournalError(
                f"{path} is missing or empty, but {run.path / 'run.json'} says that mails were sent. Who got one "
                f"can't be told; nothing is sent. Bring the journal back, or decide from the mail server's log"
            )
        return None
    if mode == "send":
        raise Refused(BUSY, f"{run.path} was started before; --mode resume goes on with it")
    old = replay(path, claim.boot_id(), repair=True)
    if old.torn:
        output.complain(f"the journal's last record was torn ({old.torn} bytes); it is left out")
    if old.identity is None:
        if marker:
            raise JournalError(f"{path} has no header; an operator must decide")
        return None
    for part, was, now in zip(old.identity._fields, old.identity, _identity(run, campaign, found), strict=True):
        if was != now:
            raise Refused(
                BAD_DATA,
                f"{part} was {was} when this attempt began, is {now} now. Resume sends the rest of the same "
                f"campaign: put the former files back",
            )
    return old


def _identity(run: claim.RunDir, campaign: Campaign, found: Survey) -> Identity:
    template, data = str(campaign.digests["template"]), str(campaign.digests["data"])
    return Identity(run.run_id, template, data, found.rows, content_digest(campaign))


def _starting_point(
    run: claim.RunDir, campaign: Campaign, found: Survey, old: Replay | None
) -> tuple[bytearray, Counts]:
    """The state of each row and the counters, from the survey, this attempt's journal and earlier attempts'."""
    states = bytearray(found.states)
    counts = Counts(duplicates=found.duplicates)
    if old:
        for row in range(1, found.rows + 1):
            if states[row] != journal.SKIPPED and old.states[row] != journal.PENDING:
                states[row] = journal.UNKNOWN if old.states[row] in journal.DOUBTFUL else old.states[row]
    others = [folder for folder in claim.attempts(run.path.parent) if folder != run.path]
    mailed, rows = _mailed_before(others, campaign)
    for row in range(1, found.rows + 1):
        if states[row] in journal.SENDABLE and found.keys[row] and (row in rows or _holds(mailed, found.keys[row])):
            states[row] = journal.SKIPPED
            counts.earlier += 1
    counts.total = found.rows - counts.duplicates - counts.earlier
    counts.accepted = states.count(journal.ACCEPTED)
    counts.failed = states.count(journal.FAILED)
    counts.unknown = states.count(journal.UNKNOWN)
    counts.deferred = states.count(journal.DEFERRED)
    return states, counts


def _mailed_before(others: list[Path], campaign: Campaign) -> "tuple[array[int], set[int]]":
    """Recipient keys, sorted, and row numbers that earlier attempts mailed or may have mailed."""
    keys: array[int] = array("Q")
    rows: set[int] = set()
    for folder in others:
        path = folder / "journal"
        if not path.exists() or not path.stat().st_size:
            if (folder / "run.json").exists():
                raise JournalError(f"{path} is gone: whom attempt {folder.name} mailed can't be told")
            continue
        old = replay(path, claim.boot_id(), on_done=keys)
        nameless = [row for row in old.doubtful() if old.keys.get(row, "-") == "-"]
        if nameless and old.identity and old.identity.data != campaign.digests["data"]:
            raise JournalError(
                f"attempt {folder.name} has {len(nameless)} rows that may have been mailed, and the data changed "
                f"since: who they are can't be told. Put the former data file back"
            )
        rows.update(nameless)
    return array("Q", sorted(keys)), rows


def _holds(keys: "array[int]", key: int) -> bool:
    at = bisect_left(keys, key)
    return at < len(keys) and keys[at] == key


def _open_journal(
    run: claim.RunDir, campaign: Campaign, found: Survey, old: Replay | None, states: bytearray, version: str
) -> Journal:
    """The journal with this process's header in it, and the marker that says there is one, all on the disk."""
    disk = os.statvfs(run.path)
    needed = found.rows * _ROW_BYTES + (1 << 20)
    if disk.f_bavail * disk.f_frsize < needed:
        raise JournalError(f"the disk of {run.path} has too little room: the journal may need {needed >> 20} MiB")
    book = Journal(run.path / "journal")
    book.header(_identity(run, campaign, found), claim.boot_id(), version, datetime.now(UTC).isoformat())
    if old:
        for row in old.doubtful():
            if old.states[row] != journal.UNKNOWN and states[row] == journal.UNKNOWN:
                key = found.keys[row]
                book.unknown(row, f"{key:016x}" if key else "-", "the process ended before the answer")
    book.sync()
    claim.sync_dir(run.path)
    if not (run.path / "run.json").exists():
        marker = {"run_id": run.run_id, "slug": campaign.slug, "attempt": run.attempt, "journal": "journal"}
        claim.durable_write(run.path / "run.json", json.dumps(marker) + "\n")
    return book


def list_unknown(settings: Settings) -> tuple[list[int], list[str], int]:
    """Rows that may or may not have been sent, and a line for each with the masked address.

    Reads only. Raises Refused when there is no attempt or its journal can't be believed."""
    from runner.unknowns import name_rows

    folder = settings.run_dir or claim.latest(settings.state_dir / settings.slug)
    if folder is None:
        raise Refused(BAD_DATA, f"{settings.slug} has no attempt in {settings.state_dir}")
    if not (folder / "journal").exists() and not (folder / "run.json").exists():
        return [], ["nothing was begun: no recipient is unknown"], OK
    old = replay(folder / "journal", claim.boot_id())
    rows = list(old.doubtful())
    return rows, name_rows(settings, old, rows), OK
