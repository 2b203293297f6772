"""A machine that slept, a process that was stopped, and a clock that was set: told from each other. Pure.

`wall` is what the clock shows, `awake` counts only while the machine runs, `passed` also while it sleeps.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

LEAST = 2.0
"""Seconds below which nothing is made of a difference."""
STOOD = 10.0
"""So long past its time, a thread wasn't merely slow to be woken: the process was stopped."""


class Jump(StrEnum):
    SLEPT = "slept"  # the machine, or this process, stood still
    STEPPED = "stepped"  # the clock was set


@dataclass(frozen=True, slots=True)
class Reading:
    """The three clocks at one instant, in seconds; `passed` is None where a system doesn't tell."""

    wall: float
    awake: float
    passed: float | None


def read() -> Reading:
    """Linux and macOS keep a clock that goes on in sleep, under different names."""
    awake, passed = time.monotonic(), None
    if hasattr(time, "CLOCK_BOOTTIME"):
        passed = time.clock_gettime(time.CLOCK_BOOTTIME)
    elif hasattr(time, "CLOCK_UPTIME_RAW"):
        awake, passed = time.clock_gettime(time.CLOCK_UPTIME_RAW), time.clock_gettime(time.CLOCK_MONOTONIC)
    return Reading(time.time(), awake, passed)


def jumps(before: Reading, after: Reading, every: float) -> tuple[tuple[Jump, float], ...]:
    """What happened between two readings meant to be `every` seconds apart, each with its size in seconds.

    Where sleep can't be told from a clock put forward, it is taken for sleep: looking again is right for both.
    """
    awake, wall = after.awake - before.awake, after.wall - before.wall
    told = before.passed is not None and after.passed is not None
    passed = after.passed - before.passed if told else max(awake, wall)  # type: ignore[operator]
    found = []
    if passed - awake >= LEAST or awake - every >= STOOD:
        found.append((Jump.SLEPT, passed))
    if abs(stepped := wall - passed) >= LEAST:
        found.append((Jump.STEPPED, stepped))
    return tuple(found)
