"""The points of a sweep: first look at all file system calls of a command, then spoil each in a run of its own."""

import json
import platform
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.calls import WRITING

ROOT = Path(__file__).parents[2]
traced = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the tracer knows Linux on x86-64 only"
)


@dataclass(frozen=True, slots=True)
class Point:
    """`fault` at the `n`-th call; `call` is what that call was when nothing was spoiled."""

    n: int
    call: str
    fault: str


def seen(log: Path) -> list[dict[str, Any]]:
    """The calls that a tracer noted."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def fired(log: Path) -> bool:
    return any("fired" in call for call in seen(log))


LOOKS = frozenset(
    {"read", "pread64", "lseek", "close", "fstat", "fcntl", "dup2", "getdents64", "stat", "lstat", "newfstatat"}
    | {"statx", "access", "faccessat", "faccessat2", "statfs", "fstatfs"}
)


def points(calls: Sequence[dict[str, Any]], faults: Iterable[str], *, sparing: bool = False) -> list[Point]:
    """Each fault at each call; no room only where a call may need some.

    `sparing` leaves out what makes no difference: a kill between two looks leaves what a kill before both does, and
    shells take no notice of what moving a descriptor about gives.
    """
    found = []
    for call in calls:
        for fault in faults:
            killed = fault.startswith("kill")
            if fault == "ENOSPC" and call["call"] not in WRITING:
                continue
            if sparing and call["call"] in (LOOKS if killed else {"close", "fcntl", "dup2", "lseek"}):
                continue
            found.append(Point(call["n"], call["call"], fault))
    return found


def some(all_of_them: Sequence[Point], most: int, seed: int) -> list[Point]:
    """At most so many, spread over the whole of the command, each time others."""
    if len(all_of_them) <= most:
        return list(all_of_them)
    step = len(all_of_them) / most
    chance = random.Random(seed)
    return [all_of_them[int((number + chance.random()) * step)] for number in range(most)]


def under_tracer(
    log: Path, prefixes: Iterable[object], point: Point | None = None, *options: str
) -> tuple[str, ...]:
    """What to put before a command."""
    spoil = ("--at", str(point.n), "--fault", point.fault) if point else ()
    return (
        sys.executable,
        "-m",
        "tests.faults.tracer",
        *options,
        *spoil,
        "--log",
        str(log),
        *map(str, prefixes),
        "--",
    )
