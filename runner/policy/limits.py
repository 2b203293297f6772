"""What an account's provider allows, and what a campaign asks for besides: read and checked. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.policy.domains import OTHERS

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}|\*")


@dataclass(frozen=True)
class Limits:
    """Of one account. `rate` in messages a second for all campaigns at once, `burst` how many of them may go at
    once after a lull, `connections` at a time, `per_connection` messages before a new one, `warmup` messages a day
    from the first day on, `domains` messages a second by domain. None or empty: no limit of the account's."""

    rate: float | None = None
    burst: int = 1
    connections: int | None = None
    per_connection: int | None = None
    warmup: tuple[int, ...] = ()
    domains: dict[str, float] = field(default_factory=dict)


def rate(value: object) -> float:
    """Messages a second. Raises ValueError saying what it must be."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise ValueError("must be a number of messages a second, above 0")
    return float(value)


def days(value: object) -> tuple[int, ...]:
    """The steps of a warm-up: a list of whole numbers, or a text with commas between them. Raises ValueError."""
    steps: Any = re.split(r"\s*,\s*", value.strip()) if isinstance(value, str) else value
    if isinstance(steps, list) and steps and len(steps) <= 366:
        found = [_whole(step) for step in steps]
        if all(found):
            return tuple(found)
    raise ValueError("must be messages a day from the first day on, such as 500, 1000, 2000")


def domain(name: str) -> str:
    """A domain as addresses have it, in lower case, or * for all others. Raises ValueError."""
    if not _DOMAIN.fullmatch(name := name.strip().lower()):
        raise ValueError(f"names no domain; write it in ASCII, or {OTHERS} for all others")
    return name


def domain_rates(value: object) -> dict[str, float]:
    """The metadata's {"example.com": 5, "*": 20}. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"example.com": 5}')
    return {domain(str(name)): rate(number) for name, number in value.items()}


def parse(section: Mapping[str, str]) -> Limits:
    """A [limits] section. Raises ValueError in words that repeat none of its text."""
    found: dict[str, Any] = {}
    domains: dict[str, float] = {}
    for number, (key, text) in enumerate(section.items(), 1):
        named = key.startswith("domain.")
        if not named and key not in _KEYS:
            raise ValueError(f"key {number} isn't known; known are {', '.join(_KEYS)} and domain.NAME")
        try:
            if named:
                domains[domain(key.removeprefix("domain."))] = rate(text)
            else:
                found[key] = _KEYS[key](text)
        except ValueError as error:
            raise ValueError(f"{f'key {number}' if named else key} {error}") from None
    return Limits(**found, domains=domains)


def _count(text: str) -> int:
    if not (number := _whole(text)):
        raise ValueError("must be a whole number from 1 to 100000000")
    return number


def _whole(value: object) -> int:
    """A whole number above 0 as such or in digits; 0 for anything else."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value.strip()):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 10**8 else 0


_KEYS: dict[str, Callable[[str], object]] = {
    "rate": rate,
    "burst": _count,
    "connections": _count,
    "per_connection": _count,
    "warmup": days,
}
