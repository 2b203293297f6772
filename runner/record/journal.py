"""The journal: what was begun and how it ended, so that a resume mails nobody twice.

Append-only text, one writer, one record a line, fields divided by one space:

    H run_id boot_id sha256(template) sha256(data) rows content version instant     each process start
    C first last                   rows claimed; on the disk before any of them may be sent
    B row key attempt message-id   about to be sent: written after 354, before the first byte of the body
    A row key code reply           accepted
    F row key code reply           refused for good (code 0: refused by us, nothing was sent)
    D row key attempt due code reply   refused for now; `due` in Unix seconds
    U row key why                  unknown: never sent again by itself
    R row key fate instant by      a person's decision on an unknown row: `sent` (taken for accepted) or `resend`
    S state

`content` is one digest of all that a mail says; `key` is the recipient key in hexadecimal, `-` when the row has
no usable address. A process that dies leaves the page cache intact, so after it only a B without an outcome is
in doubt. After a reboot every claimed row without an outcome is, since its B may have been lost.
"""

import contextlib
import errno
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runner.campaign.address import mask_text
from runner.errors import JOURNAL, Refused
from runner.record.room import keep_room

PENDING, CLAIMED, CLAIMED_BEFORE_BOOT, BEGUN, DEFERRED, ACCEPTED, FAILED, UNKNOWN, SKIPPED = range(9)
TAKEN_FOR_SENT, RESEND = 9, 10
SENDABLE = frozenset({PENDING, CLAIMED, DEFERRED, RESEND})
DOUBTFUL = frozenset({BEGUN, CLAIMED_BEFORE_BOOT, UNKNOWN})
FATES = {"sent": TAKEN_FOR_SENT, "resend": RESEND}
_CLAIMABLE = SENDABLE | {CLAIMED_BEFORE_BOOT}
_ROW_BYTES = 320  # of journal, at most, for the usual course of a row
_AHEAD = 256 << 10  # bytes: many times what all rows claimed at one time can still take
_MOST_ROWS = 100_000_000
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_KEY = re.compile(r"[0-9a-f]{16}|-")
_BEGUN = re.compile(rb"B ([1-9]\d{0,8}) [0-9a-f]{16} \d{1,3} [!-~]+\n")
_ACCEPTED = re.compile(rb"A ([1-9]\d{0,8}) ([0-9a-f]{16}) \d{1,3} [^\r\n]*\n")


class Identity(NamedTuple):
    """What a run is about; all of its processes must agree in it."""

    run_id: str
    template: str
    data: str
    rows: int
    content: str


class JournalError(Refused):
    """The journal can't be written or believed; nothing may be sent after this."""

    def __init__(self, message: str) -> None:
        super().__init__(JOURNAL, message)


class Journal:
    """The one writer. After any failure nothing can be begun or claimed: every call raises JournalError, for the
    same reason. On a full disk the outcomes of mails already begun are still taken: the room for them was kept
    when their rows were claimed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken: str | None = None  # why nothing may be begun any more
        self._lost = False  # what the file holds can't be told any more: nothing at all may follow
        self._room = 0  # the size up to which the disk keeps room for the file
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"the journal can't be opened: {error}") from None

    def keep_room(self, rows: int) -> None:
        """Have the disk keep the room that so many rows need in their usual course. Raises JournalError."""
        self._refuse_if_broken()
        try:
            self._keep(rows)
        except OSError as error:
            raise self._failed(error) from None

    def header(self, of: "Identity", boot_id: str, version: str, at: str) -> None:
        self._put(f"H {of.run_id} {boot_id} {of.template} {of.data} {of.rows} {of.content} {version} {at}\n")

    def claim(self, first: int, last: int) -> None:
        self.keep_room(last - first + 1)
        self._put(f"C {first} {last}\n")

    def begin(self, row: int, key: str, attempt: int, message_id: str) -> None:
        self._put(f"B {row} {key} {attempt} {message_id}\n")

    def accepted(self, row: int, key: str, code: int, reply: str) -> None:
        self._settle(f"A {row} {key} {code} {_one_line(reply)}\n")

    def failed(self, row: int, key: str, code: int, reply: str) -> None:
        self._settle(f"F {row} {key} {code} {_one_line(reply)}\n")

    def deferred(self, row: int, key: str, attempt: int, due: float, code: int, reply: str) -> None:
        self._settle(f"D {row} {key} {attempt} {due:.0f} {code} {_one_line(reply)}\n")

    def unknown(self, row: int, key: str, why: str) -> None:
        self._settle(f"U {row} {key} {_one_line(why)}\n")

    def decided(self, row: int, key: str, fate: str, at: str, by: str) -> None:
        """`fate` is one of FATES; the row's fate must be unknown, or no replay believes the journal any more."""
        self._put(f"R {row} {key} {fate} {at} {_one_line(by)}\n")

    def state(self, state: str) -> None:
        self._put(f"S {state}\n")

    def sync(self) -> None:
        """Wait until all of it is on the disk; safe to call in another thread."""
        if not self._lost:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._lost = True  # which of it is on the disk can't be told, nor will a second try tell
                raise self._failed(error) from None
        self._refuse_if_broken()

    def close(self) -> None:
        """The end of a process's share; room that wasn't needed is given back."""
        if self._room:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size)
        os.close(self._fd)

    def _put(self, record: str) -> None:
        if self._broken is not None:
            raise JournalError(self._broken)
        data = record.encode(errors="replace")
        try:
            if (written := os.write(self._fd, data)) != len(data):
                self._write_rest(data, written)
        except OSError as error:
            raise self._failed(error) from None

    def _settle(self, record: str) -> None:
        """An outcome: what it is about has happened already, so it is tried also when nothing may be begun."""
        if self._broken is None:
            try:
                return self._put(record)
            except JournalError:
                pass
        if self._lost:
            raise JournalError(self._broken or "")
        data = record.encode(errors="replace")
        try:
            if (written := os.write(self._fd, data)) != len(data):
                self._write_rest(data, written)
            os.fdatasync(self._fd)
        except OSError as error:
            raise self._failed(error) from None
        return None

    def _write_rest(self, data: bytes, written: int) -> None:
        """A nearly full disk takes a part of a record and says so."""
        while written < len(data):
            try:
                written += os.write(self._fd, data[written:])
            except OSError:
                try:  # or the next record would be written behind half a one
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
                except OSError:
                    self._lost = True
                raise

    def _keep(self, rows: int) -> None:
        needed = os.fstat(self._fd).st_size + rows * _ROW_BYTES + _AHEAD
        if needed > self._room:
            needed += _AHEAD  # so that the next claims needn't ask
            keep_room(self._fd, needed)
            self._room = needed

    def _refuse_if_broken(self) -> None:
        if self._broken is not None:
            raise JournalError(self._broken)

    def _failed(self, error: OSError) -> JournalError:
        self._lost = self._lost or error.errno not in _FULL
        if self._broken is None:
            self._broken = (
                f"{self._path}: the journal can't be written ({error.strerror}); stopped. Mend it, then resume "
                "with --mode resume"
            )
        return JournalError(self._broken)


@dataclass
class Replay:
    """What a journal says. `states` has one byte a row, from row 1 at index 1."""

    identity: Identity | None = None
    boot_id: str = ""
    states: bytearray = field(default_factory=bytearray)
    attempts: dict[int, tuple[int, float]] = field(default_factory=dict)  # deferred rows: tries made, due
    keys: dict[int, str] = field(default_factory=dict)  # of rows whose fate isn't known or was taken for sent
    begun: dict[int, tuple[int, str]] = field(default_factory=dict)  # of unknown rows: the try, the Message-ID
    whys: dict[int, str] = field(default_factory=dict)  # of rows written down as unknown
    resent: set[int] = field(default_factory=set)  # rows a person once let be sent again
    open_lines: dict[int, bytes] = field(default_factory=dict)  # while reading: the begins without an outcome
    torn: int = 0  # bytes dropped from the end

    def count(self, state: int) -> int:
        return self.states.count(state)

    def doubtful(self) -> Iterator[int]:
        """Rows whose fate isn't known: they may have been sent."""
        for row, state in enumerate(self.states):
            if state in DOUBTFUL:
                yield row

    def nameless(self) -> Iterator[int]:
        """Rows that may have been mailed, and to whom the journal doesn't say."""
        for row, state in enumerate(self.states):
            if (state in DOUBTFUL or state == TAKEN_FOR_SENT) and self.keys.get(row, "-") == "-":
                yield row

    def why(self, row: int) -> str:
        """What is on record of an unknown row, for people."""
        told = f": {self.whys[row]}" if row in self.whys else ", no answer recorded"
        if row in self.begun:
            return f"handed over at attempt {self.begun[row][0]}{told}"
        return "claimed before the machine restarted; what came of it was not on the disk"

    def settle(self, row: int) -> None:
        """Its fate is known: forget what was kept of it while it wasn't."""
        self.open_lines.pop(row, None)
        self.keys.pop(row, None)
        self.whys.pop(row, None)
        self.attempts.pop(row, None)


def replay(path: Path, boot_id: str, *, repair: bool = False, on_done: "array[int] | None" = None) -> Replay:
    """Read a journal as of a machine booted as `boot_id`. Raises JournalError when it can't be believed.

    A torn last record is left out, and with `repair` cut off the file. `on_done` collects the recipient keys
    (as numbers) of every row that was accepted or may have been.
    """
    found = Replay()
    done: array[int] = array("Q") if on_done is None else on_done
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            good = _read(found, file, path, boot_id, done)
        found.torn = size - good
        if repair and found.torn:
            os.truncate(path, good)
    except OSError as error:
        raise JournalError(f"the journal can't be read: {error}") from None
    done.extend(int(key, 16) for key in found.keys.values() if key != "-")
    return found


def _read(found: Replay, lines: Iterable[bytes], path: Path, boot_id: str, done: "array[int]") -> int:
    """The bytes of all whole records. Nearly all are begins and their answers, so these two are read in place, and
    of a begin the line is kept until its outcome comes: a million recipients take seconds, and no memory."""
    good, states, open_lines = 0, found.states, found.open_lines
    for number, line in enumerate(lines, 1):
        try:
            if (match := _BEGUN.match(line)) is not None:
                states[row := int(match[1])] = BEGUN
                open_lines[row] = line
            elif (match := _ACCEPTED.match(line)) is not None:
                states[row := int(match[1])] = ACCEPTED
                done.append(int(match[2], 16))
                open_lines.pop(row, None)
                if found.keys or found.attempts:
                    found.settle(row)
            elif line.strip(b"\0") and line.startswith(b"\0"):
                raise ValueError("zeros before a record")
            elif not line.endswith(b"\n") or line.startswith(b"\0"):
                break
            else:
                _apply(found, line, boot_id)
                states = found.states
        except (ValueError, LookupError, UnicodeDecodeError):
            raise _damaged(path, number, line) from None
        good += len(line)
    for row, line in open_lines.items():
        _, _, key, attempt, message_id = line.decode().split()
        found.begun[row] = (int(attempt), message_id)
        if found.keys.get(row, "-") == "-":
            found.keys[row] = key
    return good


def _damaged(path: Path, number: int, line: bytes = b"") -> JournalError:
    if line.endswith(b"\r\n"):  # no record of ours ends so
        return JournalError(
            f"{path}: record {number} ends with a carriage return: an editor changed the file. Take them out with "
            f"sed -i 's/\\r$//' {path} when you are sure that it changed nothing else"
        )
    return JournalError(f"{path}: record {number} is damaged; an operator must decide")


def _apply(found: Replay, line: bytes, boot_id: str) -> None:
    """Any record; raises ValueError or LookupError when it can't be one."""
    if line.endswith(b"\r\n"):
        raise ValueError("not as we end a line")
    record = line.decode().rstrip("\n").split(" ")
    kind = record[0]
    if kind == "H":
        _header(found, record, boot_id)
        return
    if found.identity is None:
        raise ValueError("a record before the header")
    if kind == "C":
        state = CLAIMED if found.boot_id == boot_id else CLAIMED_BEFORE_BOOT
        first, last = int(record[1]), int(record[2])
        if not 1 <= first <= last <= found.identity.rows:
            raise ValueError("no such rows")
        for row in range(first, last + 1):
            if found.states[row] in _CLAIMABLE:
                found.states[row] = state
        return
    if kind == "S":
        return
    row, key = int(record[1]), record[2]
    if not 1 <= row <= found.identity.rows or not _KEY.fullmatch(key):
        raise ValueError("no such row")
    if kind == "D":
        found.states[row] = DEFERRED
        found.settle(row)
        found.attempts[row] = (int(record[3]), float(record[4]))
    elif kind == "F":
        found.states[row] = FAILED
        found.settle(row)
    elif kind == "U":
        found.states[row] = UNKNOWN
        found.keys[row] = key
        found.whys[row] = " ".join(record[3:])
    elif kind == "R":
        if found.states[row] not in DOUBTFUL:
            raise ValueError("a decision on a row that was not in doubt")
        found.states[row] = FATES[record[3]]
        found.settle(row)  # what a person sends again gets all its tries
        if record[3] == "sent":
            found.keys[row] = key
        else:
            found.resent.add(row)
    else:
        raise ValueError("unknown record")


def _header(found: Replay, record: list[str], boot_id: str) -> None:
    run_id, boot, template, data, rows, content = record[1:7]
    identity = Identity(run_id, template, data, int(rows), content)
    if not 0 <= identity.rows <= _MOST_ROWS:
        raise ValueError("no such number of rows")
    if found.identity is None:
        found.states = bytearray(identity.rows + 1)
        found.states[0] = SKIPPED
    elif identity != found.identity:
        raise ValueError("the headers differ")
    found.identity, found.boot_id = identity, boot


def _one_line(text: str) -> str:
    """Text from outside as the end of a record: no address, no control character, not too long."""
    return mask_text(text)[:200]
