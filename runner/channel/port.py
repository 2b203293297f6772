"""How a message goes out, whatever carries it: what the engine asks of a channel, and what it is answered."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar


class Kind(Enum):
    ACCEPTED = "accepted"
    FAILED = "failed"  # for good, about this recipient or this message
    DEFERRED = "deferred"  # not now
    UNKNOWN = "unknown"  # it may have arrived, the answer didn't
    SENDER_REFUSED = "sender-refused"  # for good, and not about this recipient
    LOST = "lost"  # the connection broke before the message: provably not sent
    UNREACHABLE = "unreachable"  # no connection to begin with


class Outcome(NamedTuple):
    """`code` is the answer's, 0 where there was none; `text` comes from outside and isn't cleaned."""

    kind: Kind
    code: int
    text: str


class ServerRefusesUs(Exception):
    """Login, TLS or policy: no message will go through with these settings. Nothing was sent."""


class Message(Protocol):
    """One recipient's message, ready to go."""

    @property
    def ident(self) -> str:
        """What the journal and the other side know it by, the same in every attempt; without spaces."""

    @property
    def size(self) -> int:
        """Bytes on the wire."""


M = TypeVar("M", bound=Message, contravariant=True)


class Wire(Protocol[M]):
    """One connection, opened when needed. One task at a time delivers; the others may be called beside it."""

    def deliver(self, message: M, begin: Callable[[], None]) -> Awaitable[Outcome]:
        """Hand over one message. `begin` is called right before its first byte that the other side could take for
        the message; when it raises, nothing was sent and the exception comes out here. Raises ServerRefusesUs."""

    @property
    def follow(self) -> Callable[[M, Callable[[], None]], Awaitable[Outcome]] | None:
        """As deliver, of the one message that may be handed over while another is being delivered; None: none may
        now. Its `begin` is called after whoever awaits the other's outcome has had it, and what comes of it is
        LOST when the other's end leaves no connection."""

    def sweep(self, clock: float) -> None:
        """Called about once a second with a monotonic clock: ends what waits for too long, closes what idles."""

    async def close(self) -> None:
        """Say goodbye if there is somebody to say it to."""

    def abort(self) -> None:
        """Drop the connection at once; a delivery that waits for an answer ends with what can be told of it."""
