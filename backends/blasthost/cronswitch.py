"""Switches one line of a host's cron table off and on: only the very line that was looked at, and read again."""

import base64
import hashlib
import shlex
from dataclasses import dataclass, replace
from datetime import datetime

from backends.blasthost.answers import Session
from backends.blasthost.errors import HostError
from backends.blasthost.launcher import ASK_LIMIT
from backends.blasthost.scripts import script
from opsconsole.cron import CronFile, disable_line, enable_line, off_mark, own_table, read_cron, unmarked
from opsconsole.ports import OutOfReach, Refused, Switched, Trouble
from opsconsole.settings import BlastHost

NOTHING = "Nothing was changed."
LOOK = "Look at the table again: opsconsole host cron"


@dataclass(frozen=True, slots=True)
class Key:
    """A line as it was looked at. `line` is the digest of what it says, whether it is off or not; `table` that of
    the whole file."""

    source: str
    path: str
    number: int
    line: str
    table: str

    def __str__(self) -> str:
        return f"{self.line}:{self.table}:{self.number}:{self.source}:{self.path}"

    @property
    def where(self) -> str:
        return f"{self.path}:{self.number}"


def read_key(text: str) -> Key:
    """Raises Refused for what is no key."""
    parts = text.split(":", 4)
    if len(parts) != 5 or not parts[2].isdecimal() or len(parts[2]) > 9:
        raise Refused("That isn't the key of a cron line.", NOTHING, LOOK)
    line, table, number, source, path = parts
    return Key(source, path, int(number), line, table)


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class _Table:
    """A table as it lies on the host now."""

    writable: bool
    mode: int
    owner: str
    links: int
    text: bytes

    def read(self, path: str, expected_owner: str) -> CronFile:
        return read_cron(
            path,
            self.text,
            mode=self.mode,
            owner=self.owner,
            expected_owner=expected_owner,
            has_user_column=not own_table(path),
        )


def switch(
    session: Session, settings: BlastHost, source: str, key_text: str, on: bool, by: str, now: datetime
) -> Switched:
    """Raises Refused or OutOfReach with nothing changed; Trouble where what came of it isn't known."""
    key = read_key(key_text)
    if key.source != source or key.path not in settings.cron_files:
        raise Refused(f"{key.path} is no cron table of {source} in the configuration.", NOTHING, LOOK)
    table = _read(session, source, key.path)
    line, off = _line(table.text, key.number)
    if digest(line) == key.line and off is not on:
        told = _shown(_lines(table.text)[key.number - 1])
        return Switched(
            where=key.where, before=told, after=told, proof=f"{source} was asked just now: it is so already"
        )
    mark = off_mark(by, now)
    try:
        new = enable_line(table.text, key.number) if on else disable_line(table.text, key.number, mark)
    except ValueError:
        new = b""
    if digest(table.text) != key.table or digest(line) != key.line or not new:
        raise Refused(f"{key.path} on {source} has changed since it was looked at.", NOTHING, LOOK)
    _check(table, new, key, settings, source, on)
    if not table.writable:
        raise _locked(key, source, mark, on)
    copy, after = _swap(session, settings, source, key, table, new, mark, on)
    if after.text != new or (after.mode, after.owner) != (table.mode, table.owner):
        raise _unproven(key, source, copy)
    return Switched(
        where=key.where,
        before=_shown(_lines(table.text)[key.number - 1]),
        after=_shown(_lines(new)[key.number - 1]),
        proof=f"{key.path} was read again on {source}: line {key.number} is {'on' if on else 'off'}, "
        f"every other byte is as it was, SHA-256 {digest(new)[:12]}",
        undo=f"The table as it was is kept on {source}: {copy}. "
        f"By hand: cp {shlex.quote(copy)} {shlex.quote(key.path)}",
    )


def _lines(text: bytes) -> list[bytes]:
    return text.split(b"\n")


def _line(text: bytes, number: int) -> tuple[bytes, bool]:
    """What the line says, and whether it is switched off."""
    lines = _lines(text)
    line = lines[number - 1] if 1 <= number <= len(lines) else b""
    return unmarked(line), unmarked(line) != line


def _check(table: _Table, new: bytes, key: Key, settings: BlastHost, source: str, on: bool) -> None:
    """Cron must go on obeying the file, and every line of it but this one."""
    before = table.read(key.path, settings.cron_owner)
    after = replace(table, text=new).read(key.path, settings.cron_owner)
    if why := before.ignored_because or after.ignored_because:
        when = "ignores" if before.ignored_because else "would then ignore"
        raise Refused(f"Cron {when} all of {key.path} on {source}: {why}.", NOTHING, "Mend the file on the host.")
    more, less = (after, before) if on else (before, after)
    others = [line for line in more.lines if line.number != key.number]
    if others != list(less.lines) or len(more.lines) != len(less.lines) + 1:
        raise Refused(
            f"Line {key.number} of {key.path} is more to cron than one job.", NOTHING, "Edit the file on the host."
        )
    if table.links != 1:
        raise Refused(
            f"{key.path} on {source} has {table.links} names, of which only one would be changed.",
            NOTHING,
            "Make it a file of its own on the host, or edit it there.",
        )


def _read(session: Session, source: str, path: str) -> _Table:
    try:
        done = session.run(script("cron"), "read", path, timeout=ASK_LIMIT, max_bytes=8 << 20)
    except HostError as error:
        raise OutOfReach(error.what, NOTHING, error.next_step) from error
    word, *rest = _words(done.stdout)
    if word == "TABLE" and done.rc == 0:
        return _table(rest)
    reasons = {
        "LINK": f"is a symbolic link to {_text(rest)}, which would be put out of use",
        "MISSING": "is not there any more",
        "ODD": "is no plain file",
        "UNREADABLE": "can't be read by the console's account",
        "LARGE": "is larger than 1 MiB",
    }
    if word not in reasons:
        raise Trouble(f"What {source} says of {path} can't be understood.", NOTHING, "Try again.")
    raise Refused(f"{path} on {source} {reasons[word]}.", NOTHING, "Edit it on the host.")


def _table(words: list[str]) -> _Table:
    try:
        writable, facts, text = (*words, "")[:3]
        _, mode, owner, _, links, _ = base64.b64decode(facts).decode().split("|")
        return _Table(writable == "yes", int(mode, 8), owner, int(links), base64.b64decode(text, validate=True))
    except ValueError as error:
        raise Trouble("The host's answer about its cron table can't be read.", "", "Look again.") from error


def _swap(
    session: Session, settings: BlastHost, source: str, key: Key, table: _Table, new: bytes, mark: bytes, on: bool
) -> tuple[str, _Table]:
    """(where the copy is kept, the table as it was read again)."""
    old = _lines(table.text)[key.number - 1]
    drop, add = (len(old) - len(unmarked(old)), "") if on else (0, mark.decode())
    backups = f"{settings.state_dir.rstrip('/').rpartition('/')[0]}/cron-backups"
    orders = (key.path, backups, digest(table.text), digest(new), str(key.number), str(drop), add)
    try:
        done = session.run(script("cron"), "swap", *orders, timeout=ASK_LIMIT, max_bytes=8 << 20)
    except HostError as error:
        if not error.may_have_run:
            raise OutOfReach(error.what, NOTHING, error.next_step) from error
        raise Trouble(
            f"{source} didn't answer whether line {key.number} of {key.path} was switched ({error.what}).",
            "The table is the old one or the new one, never a part of it.",
            "Look again; to do the same again changes nothing twice.",
        ) from error
    first, _, again = done.stdout.decode("ascii", "replace").partition("\n")
    word, *rest = _words(first.encode())
    if word == "SWAPPED" and again.startswith("TABLE "):
        return _text(rest), _table(_words(again.encode())[1:])
    if word in ("SWAPPED", "UNPROVEN"):
        raise _unproven(key, source, _text(rest))
    if word == "LOCKED":
        raise _locked(key, source, mark, on)
    room = f" Room there: {' '.join(_text(rest).split())}." if _text(rest).strip() else ""
    whats = {
        "CHANGED": (f"{key.path} on {source} has changed since it was looked at.", LOOK),
        "BUSY": (f"Another console is changing cron tables on {source}.", "Try again in a moment."),
        "NOCOPY": (
            f"No copy of {key.path} could be kept in {backups} on {source}.{room}",
            "Let the console's account write there, and see that the disk isn't full.",
        ),
        "FULL": (
            f"The new table could not be written beside {key.path} on {source}.{room}",
            f"See that the disk isn't full, and that {source}'s account may write there.",
        ),
        "OWNER": (
            f"The new table would not have the owner and mode of {key.path} on {source}.",
            f"An admin can do it there: {_by_hand(key, mark, on)}",
        ),
        "FAILED": (
            f"{source} would not put the new table in the place of {key.path}.",
            f"See there whether it may be changed (lsattr). An admin can do it: {_by_hand(key, mark, on)}",
        ),
    }
    if word not in whats:
        raise _unproven(key, source, "")
    what, next_step = whats[word]
    raise Refused(what, NOTHING, next_step)


def _by_hand(key: Key, mark: bytes, on: bool) -> str:
    """The command with which an admin does the same."""
    edit = f"{key.number}s/^#opsconsole-disabled[^#]*# //" if on else f"{key.number}s/^/{mark.decode()}/"
    return f"sudo sed -i {shlex.quote(edit)} {shlex.quote(key.path)}"


def _locked(key: Key, source: str, mark: bytes, on: bool) -> Refused:
    return Refused(
        f"The console's account may not write in {key.path.rpartition('/')[0]} on {source}.",
        NOTHING,
        f"An admin can do it there: {_by_hand(key, mark, on)}",
    )


def _unproven(key: Key, source: str, copy: str) -> Trouble:
    kept = f" The table as it was is kept there: {copy}." if copy else ""
    return Trouble(
        f"Whether line {key.number} of {key.path} on {source} was switched isn't proven.{kept}",
        "The table is the old one or the new one, never a part of it.",
        "Look again; to do the same again changes nothing twice.",
    )


def _words(answer: bytes) -> list[str]:
    return answer.decode("ascii", "replace").strip("\n").split(" ")


def _text(words: list[str]) -> str:
    try:
        return base64.b64decode(words[0] if words else "").decode("utf-8", "replace").strip("\n")
    except ValueError:
        return ""


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "replace")
