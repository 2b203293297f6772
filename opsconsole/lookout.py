"""Keeps in mind, over restarts, what was told, and gives what changed with each look at a console."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from opsconsole.attention import Alarm, Attention, Transition, advance
from opsconsole.board import Board
from opsconsole.redact import DEFAULT
from opsconsole.snapshot import write_whole

if TYPE_CHECKING:
    from opsconsole.looking import Looking

VERSION = 1


class _Saved(msgspec.Struct):
    version: int
    environment: str
    attention: Attention
    owed: tuple[Transition, ...]


def _instants(saved: _Saved) -> Iterator[datetime]:
    for alarm in (*saved.attention.standing.values(), *(change.alarm for change in saved.owed)):
        yield from (alarm.since, alarm.noticed)
    yield from saved.attention.waiting.values()
    yield from (change.at for change in saved.owed)


def sees_all(console: "Looking", board: Board) -> bool:
    """Whether every source was asked since the start, and since the clocks jumped, and answered lately."""
    watch = console.watch
    return watch.looked_anew and not watch.heard()[1] and all(source.fresh for source in board.sources)


class Lookout:
    """One for whoever is told: what the screens have rung for says nothing of who was paged.

    `owed` is what others are still to be told. Without a `path` nothing outlives it.
    """

    def __init__(self, environment: str, path: Path | None) -> None:
        self._environment, self._path = environment, path
        self.forgets = ""  # why what is known now won't outlive this
        self._attention, self.owed = self._load()

    @property
    def standing(self) -> Mapping[str, Alarm]:
        """The alarms that stand, by campaign."""
        return self._attention.standing

    def look(self, console: "Looking", board: Board | None = None) -> tuple[Transition, ...]:
        """What changed since the last look; nothing as long as some source wasn't asked since the start, or since
        the clocks jumped: neither sleep nor a clock that was set makes anybody late. `board` is the newest one."""
        if not console.watch.looked_anew:
            return ()
        board = board or console.board()
        now_known, changes = advance(
            self._attention,
            board,
            environment=self._environment,
            policy=console.policy,
            whole=sees_all(console, board),
        )
        if now_known != self._attention:
            self._attention, self.owed = now_known, (*self.owed, *changes)
            self._save()
        return changes

    def settle(self) -> None:
        """Others were told of what was owed."""
        if self.owed:
            self.owed = ()
            self._save()

    def _load(self) -> tuple[Attention, tuple[Transition, ...]]:
        """A file that is missing, damaged or of another version is none: the outbox still tells nobody twice."""
        if self._path is not None:
            with suppress(OSError, msgspec.MsgspecError, ValueError, TypeError, RecursionError):
                saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
                usable = all(instant.tzinfo for instant in _instants(saved))
                if usable and (saved.version, saved.environment) == (VERSION, self._environment):
                    return saved.attention, saved.owed
        return Attention(), ()

    def _save(self) -> None:
        if self._path is None:
            return
        plain = msgspec.to_builtins(_Saved(VERSION, self._environment, self._attention, self.owed))
        try:  # a full disk costs the memory, and then the outbox still tells nobody twice
            write_whole(self._path, msgspec.json.encode(DEFAULT.clean(plain, mask=False)))
        except OSError as error:
            self.forgets = f"{self._path} can't be written: {error.strerror or error}"
        else:
            self.forgets = ""
