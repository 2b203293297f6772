"""Systems that keep something for the console: holds, triggers, a runner, copies of the store's head."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from opsconsole.hostfacts import KeptRunner, RunnerFact
from opsconsole.observation import Hold


@runtime_checkable
class HoldKeeper(Protocol):
    """A carrier that obeys holds by itself, also when no console is running."""

    def put_hold(self, scope: str, hold: Hold | None) -> None:
        """Make (or with None take away) the mark that keeps everybody from sending `scope`: a slug, or `ALL`.

        Repeating is harmless.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A trigger that was switched off or on, and what was read again afterwards to prove it."""

    where: str
    before: str  # its text as it was
    after: str  # its text as it is now
    proof: str  # what was read again, in words
    undo: str = ""  # how a person takes it back by hand: the copy that was kept, for one


@runtime_checkable
class TriggerKeeper(Protocol):
    """A source whose triggers (`Trigger.key`) can be switched off and on."""

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        """Switch one trigger, then read it again. The same again changes nothing.

        Raises Refused, with nothing changed, when it isn't what `key` names any more; Trouble when unproven.
        """
        ...


@runtime_checkable
class RunnerKeeper(Protocol):
    """A machine on which the console can put its own runner."""

    def runner(self, path: str = "", *, again: bool = False) -> RunnerFact:
        """What is at `path` ("": where the configuration says), as it was told before unless `again`.

        Looks only. Raises Trouble.
        """
        ...

    def put_runner(self, seen: RunnerFact) -> str:
        """Put this console's runner where `seen` was. The path of the copy of what was there, "" for nothing.

        Raises Refused or OutOfReach with nothing changed; Trouble where what came of it isn't known.
        """
        ...

    def put_back_runner(self, seen: RunnerFact, kept: KeptRunner) -> None:
        """Put a former runner back where `seen` was. Raises like put_runner."""
        ...


@runtime_checkable
class AnchorKeeper(Protocol):
    """A place away from the audit store where copies of its head are kept, one line each, for ever."""

    def put_anchor(self, store: str, line: str) -> None:
        """Add a line to what is kept for `store` (16 hex digits), synced. A line that is the last already stays."""
        ...

    def anchors(self, store: str, newest: int = 200) -> tuple[str, ...]:
        """The newest lines kept for `store`, oldest first; none when there is nothing."""
        ...
