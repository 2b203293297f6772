"""What the runner's journal and the mail log say of a broken run, and a person's decision written into it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from backends.blasthost import refusals
from backends.blasthost.answers import Session, count_of
from backends.blasthost.attempts import counts_of
from backends.blasthost.errors import HostError
from backends.blasthost.scripts import script
from opsconsole.campaign import check_slug
from opsconsole.ports import Doubt, EveryUnknown, Fate, Fates, OutOfReach, Refused, Trouble, Unknown, concerned
from opsconsole.settings import BlastHost

LIMIT = 120.0  # seconds; a large mail log takes a while to read
MAX_ANSWER = 8 * 2**20  # bytes: a thousand rows and what the mail log has of each
_WORD = 300  # characters kept of one word of the host's


@dataclass(frozen=True)
class Doubter:
    """`host` is the name people know the machine by. Blocking."""

    session: Session
    settings: BlastHost
    host: str

    def doubt(self, slug: str, attempt: int) -> Doubt:
        """Looks only. Raises Refused when this runner keeps no journal, Trouble when it can't be read."""
        logs = [word for path in self.settings.mail_log for word in ("--maillog", path)]
        return self._ask("look", slug, attempt, "-", "list-unknown", logs)

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        """Write what was decided of unknown rows; what is left then. All rows are decided, or none.

        Raises Refused with nothing written, Trouble when that isn't known: deciding the same again is harmless.
        """
        if not concerned(fates):
            raise Refused("No row was named.", "Nothing was written.")
        words: list[str] = []
        if isinstance(fates, EveryUnknown):
            words += [f"--{fates.fate.value}", f"all={fates.count}"]  # the runner counts them again, under the lock
            fates = {}
        for fate in Fate:
            if rows := sorted(row for row, of_row in fates.items() if of_row is fate):
                words += [f"--{fate.value}", ranges(rows)]
        logs = [word for path in self.settings.mail_log for word in ("--maillog", path)]
        return self._ask("write", slug, attempt, run_id, "resolve", [*words, "--by", by, *logs])

    def _ask(self, verb: str, slug: str, attempt: int, run: str, mode: str, words: Sequence[str]) -> Doubt:
        check_slug(slug)
        settings = self.settings
        if settings.runner_kind != "mail-blast-runner":
            raise refusals.no_journal(self.host)
        state = settings.state_dir.rstrip("/")
        places = [settings.campaigns_dir.rstrip("/"), settings.log_dir.rstrip("/"), state, settings.credentials]
        arguments = [
            *(verb, f"{state}/{slug}", str(attempt), run, *places, mode),
            *(settings.runner, "--campaign", slug, "--mode", mode, *words),
        ]
        try:
            done = self.session.run(script("journal"), *arguments, timeout=LIMIT, max_bytes=MAX_ANSWER)
        except HostError as error:
            if verb == "look" or not error.may_have_run:
                raise OutOfReach(error.what, "Nothing was done.", error.next_step) from error
            raise Trouble(
                f"The answer to the decision on {slug} was lost: {error.what}",
                "It may have been written; nothing was sent.",
                "Look at the run again; deciding the same once more is harmless.",
            ) from error
        first, _, rest = done.stdout.decode("utf-8", "replace").partition("\n")
        if first.startswith("REFUSED"):
            raise refusals.not_asked(self.host, slug, attempt, first.partition(" ")[2], mode, settings.runner)
        told = _summary(rest.splitlines(), mode)
        if told is None:
            raise Trouble(
                f"The runner on {self.host} ended with {done.rc} and told nothing of {slug} that can be read.",
                "Nothing was sent." if verb == "write" else "Nothing was done.",
                "Look at the host; the runner there may be older than this console.",
            )
        if told.get("rc") != 0 or done.rc:
            why = _word(told.get("error")) or f"it ended with {done.rc}"
            kind = Refused if verb == "write" else Trouble
            raise kind(
                f"The runner on {self.host}, asked about attempt {attempt} of {slug}: {why}.",
                "Nothing was written." if verb == "write" else "Nothing was done.",
            )
        return doubt_of(slug, attempt, told)


def ranges(rows: Iterable[int]) -> str:
    """Ascending numbers as the runner reads them: `3,7,10-12`."""
    found: list[list[int]] = []
    for row in rows:
        if found and found[-1][1] + 1 == row:
            found[-1][1] = row
        else:
            found.append([row, row])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def doubt_of(slug: str, attempt: int, told: Mapping[str, Any]) -> Doubt:
    """From the runner's summary line. Raises Trouble when it isn't whole: less than all must not look like all."""
    counts, unsent, total = counts_of(told.get("counts")), count_of(told, "unsent"), count_of(told, "unknown_total")
    rows = told.get("rows")
    listed = [_unknown(row) for row in rows] if isinstance(rows, list) else None
    if counts is None or unsent is None or total is None or listed is None or None in listed:
        raise _unreadable(slug)
    unknown = tuple(row for row in listed if row is not None)
    ascending = all(a.row < b.row for a, b in pairwise(unknown))
    if count_of(told, "attempt") != attempt or len(unknown) != min(total, 1000) or not ascending:
        raise _unreadable(slug)
    return Doubt(
        slug=slug,
        run_id=_word(told.get("run_id")),
        attempt=attempt,
        counts=counts,
        unsent=unsent,
        unknown=unknown,
        unknown_total=total,
        maillog=_word(told.get("maillog")),
        against=_word(told.get("against")),
    )


def _unreadable(slug: str) -> Trouble:
    return Trouble(
        f"What the runner tells of {slug} isn't whole.",
        "Who got a message can't be told from it; nothing was done.",
        "Install this console's own runner on the host, and look again.",
    )


def _summary(lines: Sequence[str], mode: str) -> Mapping[str, Any] | None:
    """The closing line of our runner in this mode; None for any other."""
    for line in reversed(lines):
        if line.startswith("{") and '"summary"' in line:
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                return None
            ours = isinstance(document, dict) and document.get("v") == 1 and document.get("mode") == mode
            return document if ours else None
    return None


def _unknown(told: object) -> Unknown | None:
    if not isinstance(told, dict) or (row := count_of(told, "row")) is None:
        return None
    words = {key: _word(told.get(key)) for key in ("who", "message_id", "why", "maillog")}
    return Unknown(row=row, taken=told.get("taken") is True, **words)


def _word(value: object) -> str:
    return value[:_WORD] if isinstance(value, str) else ""
