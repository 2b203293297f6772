"""Mails over one wire to a scripted server: pipelined and in lock-step, on both event loops."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest
import uvloop

from runner.channel.port import Kind, Outcome
from runner.channel.smtp import SmtpWire
from runner.settings import Smtp
from tests.support.scripted_smtp import ScriptedSmtp

T = TypeVar("T")


@dataclass(frozen=True)
class Letter:
    recipient: str = "ann@example.com"
    sender: str = "news@example.com"
    content: bytes = b"Subject: May\r\n\r\nDear Ann"

    @property
    def ident(self) -> str:
        return f"{self.recipient}@id"

    @property
    def data(self) -> bytes:
        return self.content + b"\r\n.\r\n"

    @property
    def size(self) -> int:
        return len(self.data)


def nothing() -> None:
    """A begin that marks nothing."""


def account(server: ScriptedSmtp, **more: Any) -> Smtp:
    return Smtp(more.pop("host", "127.0.0.1"), server.port, more.pop("tls", "none"), **more)


@dataclass(frozen=True)
class Way:
    """How a wire talks, and on which loop."""

    pipelining: bool
    fast: bool

    def wire(self, smtp: Smtp, **options: Any) -> SmtpWire:
        return SmtpWire(smtp, pipelining=self.pipelining, **options)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Bounded: what hangs fails."""

        async def bounded() -> T:
            return await asyncio.wait_for(work, 30)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if self.fast else None) as runner:
            return runner.run(bounded())

    def deliver(self, server: ScriptedSmtp, *recipients: str, **options: Any) -> list[Outcome]:
        """One after the other over one wire, which is closed at the end."""

        async def work() -> list[Outcome]:
            wire = self.wire(account(server), **options)
            try:
                return [await wire.deliver(Letter(recipient), nothing) for recipient in recipients]
            finally:
                await wire.close()

        return self.run(work())


_WAYS = ["pipelined", "lock-step", "pipelined-uvloop", pytest.param("lock-step-uvloop", marks=pytest.mark.slow)]


@pytest.fixture(params=_WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return Way(pipelining="pipelined" in request.param, fast="uvloop" in request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def pipelined(request: pytest.FixtureRequest) -> Way:
    return Way(pipelining=True, fast=request.param == "uvloop")


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    made = ScriptedSmtp()
    yield made
    made.stop()


async def until(true: Callable[[], object]) -> None:
    """What happens on another thread; bounded by the test."""
    while not true():  # noqa: ASYNC110 - a thread has no event of ours
        await asyncio.sleep(0.002)


async def in_a_row(
    wire: SmtpWire,
    letters: Iterator[Letter],
    told: Callable[[Letter, Outcome], None],
    begin: Callable[[Letter], None] = lambda letter: None,
) -> int:
    """Each letter, following the one before where the wire lets it; how many did."""
    coming: tuple[Letter, Awaitable[Outcome]] | None = None
    followed = 0
    while True:
        if coming is None:
            if (letter := next(letters, None)) is None:
                return followed
            coming = letter, wire.deliver(letter, partial(begin, letter))
        (letter, answer), coming = coming, None
        if (follow := wire.follow) is not None and (after := next(letters, None)) is not None:
            coming = after, follow(after, partial(begin, after))
            followed += 1
        told(letter, await answer)


async def abort_after(turns: int, wire: SmtpWire) -> Kind:
    """A delivery given up so many turns of the loop after it began."""
    task = asyncio.ensure_future(wire.deliver(Letter(), nothing))
    for _ in range(turns):
        await asyncio.sleep(0)
    wire.abort()
    return (await task).kind
