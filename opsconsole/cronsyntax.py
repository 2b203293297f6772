"""The grammar of one cron table entry, as Debian's cron (vixie cron 3.0pl1) reads it.

Debian's cron is laxer and stricter than its manual: it stops reading a field at the first character it
does not know (`mon#1` is `mon`, `0~59` is `0`), takes a backward range for "never", and refuses `1/20`.
Everything here was compared with the real daemon, see tests/test_cron_real.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_DAYS_IN_MONTH = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LONGEST_NUMBER = 999  # cron's buffer: a longer run of digits is refused
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronSyntaxError(ValueError):
    """A field cron refuses; the message names the field and quotes what is written there."""


@dataclass(frozen=True, slots=True)
class CronLine:
    """One job of a cron table. Texts are UTF-8 with surrogateescape, so any byte survives.

    `command` is as written, after the user; `shell` is what the shell gets and `stdin` what is piped in.
    `enabled` is False when cron does not obey the line: it is commented out by us, or its file is ignored. `off`
    is what was noted of who switched it off.
    """

    number: int
    schedule: str
    user: str
    command: str
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    enabled: bool = True
    off: str = ""

    @property
    def shell(self) -> str:
        """The command the shell runs: up to the first unescaped %, with \\% and \\\\ unescaped."""
        head = _split_percent(self.command)[0]
        return re.sub(r"\\([%\\])", r"\1", head)

    @property
    def stdin(self) -> str | None:
        """What cron writes to the command's standard input (each % is a new line), or None."""
        tail = _split_percent(self.command)[1]
        if tail is None:
            return None
        text = re.sub(r"\\?%", lambda found: "%" if len(found[0]) == 2 else "\n", tail)
        return text if text.endswith("\n") else text + "\n"


def _split_percent(command: str) -> tuple[str, str | None]:
    head = re.match(r"(?:[^%\\]|\\.|\\$)*", command, re.DOTALL)
    end = head.end() if head else 0
    return command[:end], command[end + 1 :] if end < len(command) else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What cron made of a schedule.

    `expression` is the same schedule in plain five-field form ("" for @reboot and for one that never
    comes). `follows_clock` tells cron's two kinds apart: a minute or hour beginning with `*` follows the
    wall clock through a change of the clocks, any other is a fixed time that cron catches up.
    """

    expression: str
    follows_clock: bool
    reboot: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class _Parsed:
    star: bool
    pieces: tuple[str, ...]
    values: frozenset[int]
    warnings: tuple[str, ...]


def _number(text: str, at: int, spec: _Field, *, step: bool = False) -> tuple[int, int]:
    """The number or name at `at` and where it ends; CronSyntaxError when cron reads none there."""
    found = re.compile(r"[0-9A-Za-z]+").match(text, at)
    word = found[0] if found else ""
    if not word or len(word) > _LONGEST_NUMBER:
        raise CronSyntaxError
    if not step and word.lower() in spec.names:
        return spec.low + spec.names.index(word.lower()), at + len(word)
    if not word.isdigit():
        raise CronSyntaxError
    # cron's atoi(): a 64-bit number cut to 32 bits, so 4294967296 is 0
    value = (min(int(word), 2**63 - 1) + 2**31) % 2**32 - 2**31
    if value < 1 if step else not spec.low <= value <= spec.high:
        raise CronSyntaxError
    return value, at + len(word)


def _parse_field(text: str, spec: _Field) -> _Parsed:
    def refuse(what: str = "bad") -> CronSyntaxError:
        return CronSyntaxError(f"{what} {spec.name} '{text}'")

    pieces: list[str] = []
    values: set[int] = set()
    warnings: list[str] = []
    at = 0
    while True:
        star = text[at : at + 1] == "*"
        low, high, step = spec.low, spec.high, 1
        try:
            if star:
                at += 1
            else:
                low, at = _number(text, at, spec)
                high = low
                if text[at : at + 1] == "-":
                    high, at = _number(text, at + 1, spec)
                elif text[at : at + 1] == "/":
                    raise refuse("bad step in")
        except CronSyntaxError as error:
            raise error if error.args else refuse() from None
        if text[at : at + 1] == "/":
            try:
                step, at = _number(text, at + 1, spec, step=True)
            except CronSyntaxError:
                raise refuse("bad step in") from None
        chosen = range(low, high + 1, step)
        values.update(chosen)
        if step > 1 and len(chosen) == 1:
            warnings.append(f"{spec.name}: the step of '{text}' leaves only {low}")
        if star and (step == 1 or len(chosen) > 1 or spec.name.startswith("day")):
            pieces.append("*" if step == 1 else f"*/{step}")
        elif len(chosen) == 1:
            pieces.append(str(low))
        elif chosen:
            pieces.append(f"{low}-{high}" + (f"/{step}" if step > 1 else ""))
        if text[at : at + 1] != ",":
            break
        at += 1
    if at < len(text):
        warnings.append(f"{spec.name}: cron ignores '{text[at:]}' of '{text}'")
    return _Parsed(text.startswith("*"), tuple(pieces), frozenset(values), tuple(warnings))


@lru_cache(maxsize=4096)
def parse_schedule(text: str) -> Schedule:
    """Read five fields or an @alias. Raises CronSyntaxError with what cron objects to."""
    if text.startswith("@"):
        if text == "@reboot":
            return Schedule("", follows_clock=False, reboot=True)
        if text not in _ALIASES:
            raise CronSyntaxError(f"unknown {text}")
        return parse_schedule(_ALIASES[text])
    words = [word for word in re.split(r"[ \t]+", text) if word]
    if len(words) != len(FIELDS):
        raise CronSyntaxError("too few fields" if len(words) < len(FIELDS) else "too many fields")
    parsed = [_parse_field(word, spec) for word, spec in zip(words, FIELDS, strict=True)]
    minute, hour, day, month, weekday = parsed
    warnings = [warning for each in parsed for warning in each.warnings]
    day_text, weekday_text = ",".join(day.pieces), ",".join(weekday.pieces)
    both = day.star or weekday.star  # Debian: a leading * in either means "and", otherwise "or"
    if both:
        last = max((_DAYS_IN_MONTH[each] for each in month.values), default=0)
        comes = bool(weekday.values and day.values) and min(day.values) <= last
    else:
        comes = bool(weekday.values or day.values)
        # the empty one of the two adds no day: leave the other alone
        day_text, weekday_text = day_text or "*", weekday_text or "*"
    if not (comes and minute.values and hour.values and month.values):
        warnings.append(f"'{text}' never comes: no such time or date exists")
        return Schedule("", minute.star or hour.star, warnings=tuple(warnings))
    texts = (",".join(minute.pieces), ",".join(hour.pieces), day_text, ",".join(month.pieces), weekday_text)
    return Schedule(" ".join(texts), minute.star or hour.star, warnings=tuple(warnings))
