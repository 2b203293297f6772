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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runner.campaign.address import mask_text
from runner.errors import JOURNAL, Refused

PENDING, CLAIMED, CLAIMED_BEFORE_BOOT, BEGUN, DEFERRED, ACCEPTED, FAILED, UNKNOWN, SKIPPED = range(9)
TAKEN_FOR_SENT, RESEND = 9, 10
SENDABLE = frozenset({PENDING, CLAIMED, DEFERRED, RESEND})
DOUBTFUL = frozenset({BEGUN, CLAIMED_BEFORE_BOOT, UNKNOWN})
FATES = {"sent": TAKEN_FOR_SENT, "resend": RESEND}
_CLAIMABLE = SENDABLE | {CLAIMED_BEFORE_BOOT}
_RESERVE = 64 << 10  # bytes: many times what all connections' outcomes can take
_KEY = re.compile(r"[0-9a-f]{16}|-")


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
    """The one writer. Any failure is for good: after it every call raises JournalError, for the same reason.

    Only when the disk is full, and a reserve was kept, can the outcomes of mails already begun still be written.
    """

    def __init__(self, path: Path) -> None:
        self._broken: str | None = None
        self._reserve = path.with_name("journal.reserve")
        self._kept = self._freed = False
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"the journal can't be opened: {error}") from None

    def keep_reserve(self) -> None:
        """Take the room that the last outcomes need. Raises JournalError."""
        try:
            fd = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                self._kept = os.write(fd, bytes(_RESERVE)) == _RESERVE
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failed(error) from None

    def header(self, of: "Identity", boot_id: str, version: str, at: str) -> None:
        self._put(f"H {of.run_id} {boot_id} {of.template} {of.data} {of.rows} {of.content} {version} {at}")

    def claim(self, first: int, last: int) -> None:
        self._put(f"C {first} {last}")

    def begin(self, row: int, key: str, attempt: int, message_id: str) -> None:
        self._put(f"B {row} {key} {attempt} {message_id}")

    def accepted(self, row: int, key: str, code: int, reply: str) -> None:
        self._settle(f"A {row} {key} {code} {_one_line(reply)}")

    def failed(self, row: int, key: str, code: int, reply: str) -> None:
        self._settle(f"F {row} {key} {code} {_one_line(reply)}")

    def deferred(self, row: int, key: str, attempt: int, due: float, code: int, reply: str) -> None:
        self._settle(f"D {row} {key} {attempt} {due:.0f} {code} {_one_line(reply)}")

    def unknown(self, row: int, key: str, why: str) -> None:
        self._settle(f"U {row} {key} {_one_line(why)}")

    def decided(self, row: int, key: str, fate: str, at: str, by: str) -> None:
        """`fate` is one of FATES; the row's fate must be unknown, or no replay believes the journal any more."""
        self._put(f"R {row} {key} {fate} {at} {_one_line(by)}")

    def state(self, state: str) -> None:
        self._put(f"S {state}")

    def sync(self) -> None:
        """Wait until all of it is on the disk; safe to call in another thread."""
        if self._broken:
            raise JournalError(self._broken)
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._kept = False  # what is on the disk can't be told any more: nothing may follow
            raise self._failed(error) from None

    def close(self) -> None:
        """The end of a process's share; the reserve is given back."""
        os.close(self._fd)
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    def _put(self, line: str) -> None:
        if self._broken:
            raise JournalError(self._broken)
        try:
            self._write(line)
        except OSError as error:
            raise self._failed(error) from None

    def _settle(self, line: str) -> None:
        """An outcome: what it is about has happened already, so it is worth the reserve."""
        if not self._freed:
            try:
                return self._put(line)
            except JournalError:
                if not self._freed:
                    raise
        try:
            self._write(line)
            os.fdatasync(self._fd)
        except OSError as error:
            self._freed = False
            raise self._failed(error) from None
        return None

    def _write(self, line: str) -> None:
        rest = memoryview(f"{line}\n".encode())
        whole = len(rest)
        try:
            while rest:  # a nearly full disk takes a part of it and says so
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if self._kept and len(rest) < whole:  # or the next record would be written behind half a one
                self._kept = False
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - (whole - len(rest)))
                self._kept = True
            raise

    def _failed(self, error: OSError) -> JournalError:
        if self._broken is None:
            self._broken = (
                f"the journal can't be written ({error.strerror}); stopped. Mend it, then resume with --mode resume"
            )
            if self._kept and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._reserve.unlink(missing_ok=True)
                self._kept, self._freed = False, True
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
    claims: bool = False
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
        self.keys.pop(row, None)
        self.begun.pop(row, None)
        self.whys.pop(row, None)


def replay(path: Path, boot_id: str, *, repair: bool = False, on_done: "array[int] | None" = None) -> Replay:
    """Read a journal as of a machine booted as `boot_id`. Raises JournalError when it can't be believed.

    A torn last record is left out, and with `repair` cut off the file. `on_done` collects the recipient keys
    (as numbers) of every row that was accepted or may have been.
    """
    found = Replay()
    good = 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") or line.startswith(b"\0"):
                    if line.strip(b"\0") and line.startswith(b"\0"):
                        raise JournalError(f"{path}: record {number} is damaged; an operator must decide")
                    break
                try:
                    _apply(found, line.decode().rstrip("\n").split(" "), boot_id, on_done)
                except (ValueError, LookupError, UnicodeDecodeError):
                    raise JournalError(f"{path}: record {number} is damaged; an operator must decide") from None
                good += len(line)
        found.torn = size - good
        if repair and found.torn:
            os.truncate(path, good)
    except OSError as error:
        raise JournalError(f"the journal can't be read: {error}") from None
    if on_done is not None:
        on_done.extend(int(key, 16) for key in found.keys.values() if key != "-")
    return found


def _apply(found: Replay, record: list[str], boot_id: str, on_done: "array[int] | None") -> None:
    kind = record[0]
    if kind == "H":
        _header(found, record, boot_id)
        return
    if found.identity is None:
        raise ValueError("a record before the header")
    if kind == "C":
        found.claims = True
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
    if kind == "B":
        found.states[row] = BEGUN
        found.keys[row] = key
        found.begun[row] = (int(record[3]), record[4])
        found.whys.pop(row, None)
    elif kind == "D":
        found.states[row] = DEFERRED
        found.attempts[row] = (int(record[3]), float(record[4]))
        found.settle(row)
    elif kind == "A":
        found.states[row] = ACCEPTED
        found.settle(row)
        if on_done is not None:
            on_done.append(int(key, 16))
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
        found.settle(row)
        if record[3] == "sent":
            found.keys[row] = key
        found.attempts.pop(row, None)  # what a person sends again gets all its tries
    else:
        raise ValueError("unknown record")


def _header(found: Replay, record: list[str], boot_id: str) -> None:
    run_id, boot, template, data, rows, content = record[1:7]
    identity = Identity(run_id, template, data, int(rows), content)
    if found.identity is None:
        found.states = bytearray(identity.rows + 1)
        found.states[0] = SKIPPED
    elif identity != found.identity:
        raise ValueError("the headers differ")
    found.identity, found.boot_id = identity, boot


def _one_line(text: str) -> str:
    """Text from outside as the end of a record: no address, no control character, not too long."""
    return mask_text(text)[:200]
