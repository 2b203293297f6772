"""What the mail server's log says of some messages: reads Postfix's lines, whole or rotated, and changes nothing.

Postfix logs a Message-ID when it has read a mail's header, which is before it takes responsibility for the mail.
So a Message-ID alone proves nothing: only a line of the queue manager or of a delivery agent does.
"""

import gzip
import os
import re
import stat
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from runner.campaign.address import mask_text

PLACES = (Path("/var/log/mail.log"), Path("/var/log/maillog"))
MAX_BYTES = 2 << 30  # of all logs together, unpacked
_LINE = 8192  # bytes of a line that are looked at
_QUEUED_AT_ONCE = 50_000  # of our mails, in the mail server's queue at one time
_IDS_EACH = 4
_STAMP = r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,+Z-]{5,24})"
# The daemon in a line's own head wrote it: what a mail or another server said comes behind that.
_WRITTEN_BY = re.compile(
    rf"{_STAMP} [\w.:-]{{1,255}} postfix[\w.-]{{0,64}}(?:/[\w.-]{{1,64}}){{0,2}}/([\w-]{{1,32}})\[\d{{1,10}}\]: "
    r"([0-9A-Za-z]{5,24}): (.*)$"
)
_MESSAGE_ID = re.compile(r"(?:resent-)?message-id=(<[^<>\s]{1,500}>)$")
_DELIVERY = re.compile(r"to=<[^<>]{0,400}>, .*?dsn=(\d\.\d{1,3}\.\d{1,3}), status=([a-z-]{1,20})(?: \((.*)\)$)?")
_TAKEN = re.compile(r"from=<[^<>]{0,400}>, size=\d+, nrcpt=\d+")


@dataclass
class Trace:
    """One mail under one queue id. `taken`: the mail server made itself responsible for it."""

    queue_id: str
    taken: bool = False
    status: str = ""

    def __str__(self) -> str:
        if self.status:
            return f"taken by the mail server as {self.queue_id}, {self.status}"
        if self.taken:
            return f"taken by the mail server as {self.queue_id}, no delivery logged yet"
        return f"begun at the mail server as {self.queue_id}, no word that it was taken"


@dataclass
class Found:
    """`traces` by Message-ID; `where` says for people which logs were read and why others weren't."""

    where: str
    traces: dict[str, list[Trace]] = field(default_factory=dict)
    read: bool = False

    def taken(self, message_id: str) -> list[str]:
        """The queue ids under which the mail server made itself responsible for this mail."""
        return [trace.queue_id for trace in self.traces.get(message_id, ()) if trace.taken]

    def about(self, message_id: str) -> str:
        """What the log says of one mail; "" when it has nothing of it or wasn't read."""
        return "; ".join(map(str, self.traces.get(message_id, ())))


def look(paths: Sequence[Path], wanted: Collection[str]) -> Found:
    """Look for these Message-IDs in these logs, or in the usual one when none is named. Never raises for a log."""
    chosen = list(paths) or [path for path in PLACES if os.path.lexists(path)][:1]
    if not chosen:
        return Found(f"no mail log was read: there is no {' and no '.join(map(str, PLACES))}")
    reader = _Reader(frozenset(wanted))
    told: list[str] = []
    for path in sorted(chosen, key=_written):  # the older first, so that a mail is seen from its beginning on
        told.append(_read_one(path, reader))
    return Found("; ".join(told), reader.traces, reader.lines > 0)


def _read_one(path: Path, reader: "_Reader") -> str:
    before, first = reader.lines, ""
    try:
        with _open(path) as stream:
            for line in _lines(stream, reader):
                first = first or _stamp(line)
                reader.see(line)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
        read = reader.lines - before
        return f"{path} can't be read{f' beyond line {read}' if read else ''}: {why}"
    cut = ", and not to its end: it is too long" if reader.bytes >= MAX_BYTES else ""
    since = f", the first of {first}" if first else ""
    return f"{path}: {reader.lines - before} lines read{since}{cut}"


class _Reader:
    """Follows our mails through the lines. What is kept is bounded by `wanted` and by _QUEUED_AT_ONCE."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._queued: OrderedDict[str, Trace] = OrderedDict()
        self.traces: dict[str, list[Trace]] = {}
        self.lines = self.bytes = 0

    def see(self, line: str) -> None:
        self.lines += 1
        if "message-id=<" not in line and not (self._queued and _queue_id(line) in self._queued):
            return  # nearly all of a log that others' mails fill
        match = _WRITTEN_BY.match(line)
        if match is None:
            return
        daemon, queue_id, said = match.groups()
        if daemon == "cleanup" and (named := _MESSAGE_ID.match(said)):
            self._begin(queue_id, named[1])
        elif (trace := self._queued.get(queue_id)) is None:
            return
        elif daemon == "qmgr" and said == "removed":
            del self._queued[queue_id]  # its id may now be given to another mail
        elif daemon == "qmgr" and _TAKEN.match(said):
            trace.taken = True
        elif daemon not in ("cleanup", "smtpd") and (delivered := _DELIVERY.match(said)):
            trace.taken = True
            words = f" ({mask_text(delivered[3])[:120]})" if delivered[3] else ""
            trace.status = f"status {delivered[2]}, dsn {delivered[1]}{words}"

    def _begin(self, queue_id: str, message_id: str) -> None:
        self._queued.pop(queue_id, None)
        if message_id not in self._wanted:
            return
        traces = self.traces.setdefault(message_id, [])
        if len(traces) >= _IDS_EACH:
            traces.pop(1)
        traces.append(Trace(queue_id))
        self._queued[queue_id] = traces[-1]
        if len(self._queued) > _QUEUED_AT_ONCE:
            self._queued.popitem(last=False)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place mustn't hold us up
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "it is not a file")
        yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file


def _lines(stream: BinaryIO, reader: _Reader) -> Iterator[str]:
    """The lines, each cut at _LINE bytes, until the end or until enough was read of all logs."""
    begins = True
    while reader.bytes < MAX_BYTES and (raw := stream.readline(_LINE)):
        reader.bytes += len(raw)
        if begins:
            yield raw.decode(errors="replace").rstrip("\r\n")
        begins = raw.endswith(b"\n")


def _queue_id(line: str) -> str:
    """Where a queue id stands in a line of Postfix's, if it is one."""
    return line.partition(": ")[2].partition(": ")[0]


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _stamp(line: str) -> str:
    """When a line was logged, as it says itself: `May 11 10:00:00` or an ISO instant."""
    match = re.match(_STAMP, line)
    return match[0] if match else ""
