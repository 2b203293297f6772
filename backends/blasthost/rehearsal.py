"""A dry run on the host: the runner in the foreground, its output as it comes, the files' digests around it."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event
from typing import Any

from backends.blasthost.answers import count_of
from backends.blasthost.errors import HostError
from backends.blasthost.scripts import script
from backends.blasthost.session import HostSession, StreamEnd
from opsconsole.campaign import FILES, check_slug, required_files
from opsconsole.digests import PARTS
from opsconsole.plan import DryRun
from opsconsole.ports import OutOfReach, Trouble
from opsconsole.runlog import Reader
from opsconsole.settings import BlastHost

HEADER_CAP = 256  # bytes; the header is a pid and a start
SUMMARY_CAP = 4 * 2**20  # bytes of the closing JSON line, which holds a rendered sample
DIGEST_LIMIT = 120.0  # seconds
NOT_EXECUTABLE = 126


def dry_run(
    session: HostSession,
    settings: BlastHost,
    carrier: str,
    slug: str,
    on_output: Callable[[bytes], None],
    stop: Event,
) -> DryRun:
    """Rehearse `slug`; sends nothing and claims nothing. Setting `stop` ends it on the host too.

    Raises Trouble when the runner can't be run, OutOfReach when its end wasn't seen.
    """
    folder = f"{settings.campaigns_dir.rstrip('/')}/{check_slug(slug)}"
    output = _Output(on_output, settings)
    arguments = [argument.replace("{slug}", slug) for argument in settings.dry_run_args]
    places = [
        settings.campaigns_dir.rstrip("/"),
        settings.state_dir.rstrip("/"),
        settings.log_dir.rstrip("/"),
        settings.credentials,
    ]
    before = digests(session, folder)
    began = datetime.now(UTC)
    try:
        end = session.stream(
            script("rehearse"), *places, settings.runner, *arguments, on_data=output.take, stop=stop
        )
    except HostError as error:
        raise OutOfReach(
            error.what, "The end of the dry run wasn't seen; it sends nothing.", "Run it again."
        ) from error
    duration = (datetime.now(UTC) - began).total_seconds()
    output.close()
    if not end.ended:
        with suppress(HostError):
            session.run(script("end"), *output.header.split()[:2])
    if end.rc == NOT_EXECUTABLE and not output.header:
        raise Trouble(
            f"{settings.runner} isn't on the host, or can't be executed.",
            "Without it there is neither a dry run nor a send.",
            "Install the runner, or set `runner` in the configuration.",
        )
    return _result(slug, carrier, output, end, before, digests(session, folder), began, duration)


def digests(session: HostSession, folder: str) -> dict[str, str]:
    """What is in the campaign's folder by file name: a sha256, `missing` or `unreadable`."""
    done = session.run(script("digests"), folder, *FILES, timeout=DIGEST_LIMIT).check("digest the campaign's files")
    return dict(line.split(" ", 1) for line in done.stdout.decode("ascii", "replace").splitlines() if " " in line)


class _Output:
    """Takes the header off, hands the rest on, and keeps what the result is made of."""

    def __init__(self, on_output: Callable[[bytes], None], settings: BlastHost) -> None:
        self._on_output = on_output
        self._reader = Reader(settings.patterns)
        self._pending: bytes | None = b""
        self._line = bytearray()
        self._summary = b""
        self.header = ""
        self.last_words = ""

    @property
    def progress(self) -> Any:
        return self._reader.progress

    @property
    def summary(self) -> Mapping[str, Any] | None:
        """The closing line of our runner; None for any other."""
        try:
            document = json.loads(self._summary)
        except (ValueError, RecursionError):
            return None
        ours = isinstance(document, dict) and document.get("v") == 1 and document.get("summary") is True
        return document if ours else None

    def take(self, data: bytes) -> None:
        if self._pending is not None:
            header, newline, data = (self._pending + data).partition(b"\n")
            if not newline:
                self._pending = header[:HEADER_CAP]
                return
            self._pending, self.header = None, header.decode("ascii", "replace")
        if not data:
            return
        self._on_output(data)
        for line in self._reader.feed(data):
            self._say(line.text)
        *ends, rest = data.split(b"\n")
        for piece in ends:
            self._keep(piece)
            self._end_line()
        self._keep(rest)

    def close(self) -> None:
        for line in self._reader.close():
            self._say(line.text)
        self._end_line()

    def _say(self, text: str) -> None:
        if text.strip() and not text.startswith("{"):
            self.last_words = text.strip()[:300]

    def _keep(self, piece: bytes) -> None:
        if len(self._line) + len(piece) <= SUMMARY_CAP:
            self._line += piece

    def _end_line(self) -> None:
        if self._line.startswith(b"{") and b'"summary"' in self._line:
            self._summary = bytes(self._line)
        self._line.clear()


def _result(
    slug: str,
    carrier: str,
    output: _Output,
    end: StreamEnd,
    before: Mapping[str, str],
    after: Mapping[str, str],
    began: datetime,
    duration: float,
) -> DryRun:
    told = output.summary or {}
    progress = output.progress
    audience = count_of(told, "audience") if told else progress.processed
    refused = count_of(told, "refused_total") if told else progress.failed
    troubles = [*_faults(before, after, told), *_refusals(told)]
    if not end.ended:
        troubles.append("it was stopped before its end")
    elif end.rc:
        troubles.append(f"the runner ended with {end.rc}: {output.last_words or 'it gave no reason'}")
    elif audience is None:
        troubles.append("the runner told no count of recipients; see `patterns` in the configuration")
    ok = end.rc == 0 and audience is not None and not _faults(before, after, told)
    return DryRun(
        slug=slug,
        carrier=carrier,
        at=began,
        ok=ok,
        digests={name: digest for name, digest in after.items() if digest not in ("missing", "unreadable")},
        audience=audience,
        refused=refused or 0,
        duplicates=count_of(told, "duplicates") or 0,
        suppressed=count_of(told, "suppressed") or 0,
        rendered=count_of(told, "rendered"),
        largest=count_of(told, "bytes_max"),
        probe=told.get("probe") if isinstance(told.get("probe"), dict) else None,
        duration_s=duration,
        summary=output.last_words,
        troubles=tuple(troubles),
        sample=told.get("sample") if isinstance(told.get("sample"), dict) else None,
    )


def _faults(before: Mapping[str, str], after: Mapping[str, str], told: Mapping[str, Any]) -> list[str]:
    """What makes the result worthless: files that changed meanwhile, are missing, or that nobody could read."""
    faults = []
    seen, required = told.get("digests"), required_files(str(told.get("channel", "email")))
    for name in FILES:
        was, now_there = before.get(name, "unreadable"), after.get(name, "unreadable")
        read = seen.get(PARTS[name]) if isinstance(seen, dict) else None
        if was != now_there or (read is not None and read != now_there):
            faults.append(f"{name} changed during the dry run")
        elif was == "unreadable" or (was == "missing" and name in required):
            faults.append(f"{name} is {was}")
    return faults


def _refusals(told: Mapping[str, Any]) -> list[str]:
    """The rows our runner would not mail, as it tells them (the first few)."""
    rows = told.get("refused")
    if not isinstance(rows, list):
        return []
    said = []
    for row in rows[:20]:
        if isinstance(row, dict):
            where = f"row {row['row']}: " if row.get("row") is not None else ""
            said.append(f"{where}{str(row.get('why', ''))[:200]}")
    return said
