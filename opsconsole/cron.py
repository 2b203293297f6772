"""Cron tables as Debian's cron (vixie cron 3.0pl1) obeys them: read, search, switch lines off and on.

One bad line, one unknown user or a missing newline at the end makes cron ignore the whole file and tell
only syslog, so `read_cron` judges whole files. Times of the lines are in `opsconsole.crontimes`; its
functions are offered here too.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opsconsole.croncommands import commands, is_send, mentions
from opsconsole.cronsyntax import CronLine, CronSyntaxError, parse_schedule
from opsconsole.crontimes import (
    dst_warning,
    fires,
    fires_again,
    in_words,
    next_fire,
    previous_fire,
)

__all__ = [
    "DISABLED",
    "CronFile",
    "CronLine",
    "CronSyntaxError",
    "commands",
    "disable_line",
    "dst_warning",
    "enable_line",
    "fires",
    "fires_again",
    "in_words",
    "is_send",
    "mentions",
    "next_fire",
    "off_mark",
    "own_table",
    "previous_fire",
    "read_cron",
    "say_off",
    "unmarked",
]

DISABLED = b"#opsconsole-disabled# "
_OFF = re.compile(rb"#opsconsole-disabled(?: ([^#\n\0]*))?# ")  # with who and when it was switched off
_BY = re.compile(r"[^A-Za-z0-9._@+-]+")
_LONGEST_COMMAND = 998  # bytes; cron refuses a longer one
_LONGEST_ENV = 998  # bytes; cron cuts a longer one
_ENV = re.compile(rb"""('[^']*'|"[^"]*"|[^\s='"][^\s=]*|)\s*=\s*('[^']*'\s*|"[^"]*"\s*|[^\s'"].*)""", re.DOTALL)
_BLANKS = re.compile(rb"[ \t]*")


@dataclass(frozen=True, slots=True)
class CronFile:
    """What cron makes of one file.

    `ignored_because` is "" when cron obeys the file; otherwise why it ignores all of it, beginning with
    `line N: ` where a line is to blame. The lines are then still listed as far as they can be read, not
    enabled. `disabled` holds the jobs that `disable_line` switched off.
    """

    name: str
    ignored_because: str
    lines: tuple[CronLine, ...]
    warnings: tuple[str, ...]
    disabled: tuple[CronLine, ...]


def read_cron(
    name: str,
    text: bytes,
    *,
    mode: int | None = None,
    owner: str | None = None,
    expected_owner: str = "root",
    has_user_column: bool = True,
    known_users: Collection[str] | None = None,
) -> CronFile:
    """Read `/etc/crontab` or a file of `/etc/cron.d`; without a user column, the table of the user `name`.

    `mode`, `owner` and `known_users` are checked when given. Never raises, whatever the bytes.
    """
    base = name.rpartition("/")[2]
    reader = _Reader(text, None if has_user_column else base, known_users)
    reader.read()
    refused = _outside_reason(base, mode, owner, expected_owner, has_user_column) or reader.refused
    if not has_user_column and known_users is not None and base not in known_users:
        refused = f"the host has no user '{base}'"
    return CronFile(
        name,
        refused,
        tuple(replace(line, enabled=not refused) for line in reader.lines),
        tuple(reader.warnings),
        tuple(reader.disabled),
    )


def own_table(path: str) -> bool:
    """Whether it is the table of one user, whose lines name none."""
    return "/spool/cron" in path


def _outside_reason(base: str, mode: int | None, owner: str | None, expected: str, system: bool) -> str:
    if system and not re.fullmatch(r"[A-Za-z0-9_-]+", base):
        return f"cron skips the name '{base}': only letters, digits, - and _ are allowed"
    owners = {expected} if system else {expected, base, "root"}
    if owner is not None and owner not in owners:
        return f"the file belongs to {owner}, cron wants {expected}"
    if mode is not None and system and mode & 0o022:
        return f"mode {mode & 0o7777:04o} lets group or others write, cron skips such a file"
    if mode is not None and not system and mode & 0o7777 != 0o600:
        return f"mode {mode & 0o7777:04o}, cron wants 0600 for a user's table"
    return ""


class _Reader:
    """Walks the bytes the way cron does; a NUL ends a text as a newline does, but not the line's number."""

    def __init__(self, text: bytes, user: str | None, known_users: Collection[str] | None) -> None:
        self.text, self.user, self.known_users = text, user, known_users
        self.at = 0
        self.number = 1
        self.counted = (0, 1)  # a position and its line number
        self.env: dict[str, str] = {}
        self.refused = ""
        self.lines: list[CronLine] = []
        self.disabled: list[CronLine] = []
        self.warnings: list[str] = []

    def read(self) -> None:
        while self._skip_comments():
            start = self.at
            self.number = self._number_at(start)
            content, ended = self._take(b"\n\0")
            if not ended:
                self._refuse("the last line has no newline at its end")
            env = _ENV.fullmatch(content[:_LONGEST_ENV])
            if env:
                self._set_env(env, cut=len(content) > _LONGEST_ENV)
                continue
            self.at = start
            try:
                self.lines.append(self._job())
            except CronSyntaxError as error:
                self._refuse(str(error))
                self._take(b"\n")

    def _refuse(self, why: str) -> None:
        self.refused = self.refused or f"line {self.number}: {why}"

    def _warn(self, what: str) -> None:
        self.warnings.append(f"line {self.number}: {what}")

    def _skip_comments(self) -> bool:
        """Go to the next line that says something; False at the end of the file."""
        while self.at < len(self.text):
            line_start = self.at
            self._skip_blanks()
            if self.text[self.at : self.at + 1] not in (b"\n", b"#"):
                return self.at < len(self.text)
            self._take(b"\n")
            if off := _OFF.match(self.text, line_start):
                self._remember_disabled(line_start, off)
        return False

    def _remember_disabled(self, line_start: int, off: re.Match[bytes]) -> None:
        content = self.text[off.end() : self.at].rstrip(b"\n").partition(b"\0")[0] + b"\n"
        if content.lstrip(b" \t").startswith(b"#"):
            return
        inner = _Reader(content, self.user, None)
        inner.env = self.env
        inner.read()
        number = self._number_at(line_start)
        note = _text(off[1] or b"")
        self.disabled.extend(replace(line, number=number, enabled=False, off=note) for line in inner.lines)

    def _number_at(self, at: int) -> int:
        """The line number at `at`, which never goes back."""
        since, number = self.counted
        self.counted = (at, number + self.text.count(b"\n", since, at))
        return self.counted[1]

    def _skip_blanks(self) -> None:
        found = _BLANKS.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, ends: bytes) -> tuple[bytes, bytes]:
        """The bytes up to the first of `ends` and that one, which is passed over; b"" at the end of file."""
        found = re.compile(b"[" + ends + b"]").search(self.text, self.at)
        start, self.at = self.at, found.end() if found else len(self.text)
        return (self.text[start : found.start()], found[0]) if found else (self.text[start:], b"")

    def _set_env(self, env: re.Match[bytes], *, cut: bool) -> None:
        name, value = (_unquote(each) for each in env.groups())
        self.env = {**self.env, name: value}
        if name in ("TZ", "CRON_TZ"):
            self._warn(f"{name} does not change when jobs start: Debian's cron has only the host's zone")
        if cut:
            self._warn(f"cron cuts the value of {name} at {_LONGEST_ENV} bytes")

    def _job(self) -> CronLine:
        schedule = self._schedule()
        user = self.user if self.user is not None else self._user()
        written, _ = self._take(b"\n\0")
        command = _text(written.lstrip(b" \t"))
        if len(written) > _LONGEST_COMMAND:
            self._refuse(f"the command is longer than {_LONGEST_COMMAND} bytes")
        line = CronLine(self.number, schedule, user, command, self.env)
        for warning in parse_schedule(schedule).warnings:
            self._warn(warning)
        if not command.strip():
            self._warn("empty command")
        elif command.endswith("\r"):
            self._warn("the command ends in a carriage return (Windows line end), which the shell sees")
        if line.stdin is not None:
            self._warn("the first % ends the command, the rest is its standard input; write \\% for a percent")
        return line

    def _schedule(self) -> str:
        """The schedule as text, checked; stands at the user or command afterwards."""
        rest = self.text[self.at : self.text.find(b"\n", self.at) + 1 or len(self.text)]
        found = re.match(rb"@[^ \t\n\0]*|[^ \t\n]+(?:[ \t]+[^ \t\n]+){0,4}", rest)
        schedule = _text(found[0]) if found else ""
        try:
            parse_schedule(schedule)
        except CronSyntaxError as error:
            few = not schedule.startswith("@") and len(rest.split()) < (5 if self.user is not None else 6)
            bom = rest.startswith(b"\xef\xbb\xbf")
            why = "too few fields" if few else str(error)
            raise CronSyntaxError(why + (" (a byte order mark is before it)" if bom else "")) from None
        self.at += len(found[0]) if found else 0
        self._skip_blanks()
        return schedule

    def _user(self) -> str:
        word, end = self._take(b" \t\n\0")
        user = _text(word)
        if end in (b"\n", b""):
            self.at -= len(end)
            raise CronSyntaxError("no command" if user else "no user and no command")
        if not user or (self.known_users is not None and user not in self.known_users):
            self._refuse(f"unknown user '{user}'")
        return user


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _unquote(raw: bytes) -> str:
    raw = raw.strip()
    return _text(raw[1:-1] if raw[:1] in (b"'", b'"') and len(raw) > 1 else raw)


def off_mark(by: str, at: datetime) -> bytes:
    """What is written before a line to switch it off: who, and when (aware), in a form that cron passes over."""
    who = _BY.sub("_", by)[:64] or "nobody"
    return f"#opsconsole-disabled by={who} at={at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}# ".encode()


def say_off(line: CronLine) -> str:
    """`switched off by mara, 2026-11-22 09:40 UTC`, as far as the line tells."""
    said = dict(word.partition("=")[::2] for word in line.off.split())
    by, at = said.get("by", "the console"), said.get("at", "").removesuffix("Z").replace("T", " ")[:16]
    return f"switched off by {by}" + (f", {at} UTC" if at else "")


def unmarked(line: bytes) -> bytes:
    """What a line says, or said before it was switched off here."""
    return _OFF.sub(b"", line, count=1) if _OFF.match(line) else line


def disable_line(text: bytes, number: int, mark: bytes = DISABLED) -> bytes:
    """The table with job line `number` (from 1) commented out by `mark`, every other byte kept.

    Raises ValueError if that line is no job: absent, blank, a comment or a variable.
    """
    lines = text.split(b"\n")
    content = lines[number - 1].lstrip(b" \t") if 1 <= number <= len(lines) else b""
    if not content.strip() or content.startswith(b"#") or _ENV.fullmatch(content):
        raise ValueError(f"line {number} is not a job line, nothing was changed; read the table again")
    lines[number - 1] = mark + lines[number - 1]
    return b"\n".join(lines)


def enable_line(text: bytes, number: int) -> bytes:
    """The reverse of `disable_line`. Raises ValueError if it did not switch that line off."""
    lines = text.split(b"\n")
    if not 1 <= number <= len(lines) or not _OFF.match(lines[number - 1]):
        raise ValueError(f"line {number} was not switched off here, nothing was changed; read the table again")
    lines[number - 1] = unmarked(lines[number - 1])
    return b"\n".join(lines)
