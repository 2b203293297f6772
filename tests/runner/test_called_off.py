"""A connection takes its time to come about: what is forbidden meanwhile isn't sent once it is there."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.runner.conftest import Host, wait_for


class SlowToGreet:
    """A mail server that greets nobody before `greet` is set. `connections` wait or were greeted; `bodies` came."""

    def __init__(self) -> None:
        self.connections = self.bodies = 0
        self.greet = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while not self.greet.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        answers = {b"EHLO": b"250 PIPELINING", b"DATA": b"354 go on", b"QUIT": b"221 bye"}
        writer.write(b"220 at last\r\n")
        in_body = False
        while line := await reader.readline():
            if not in_body:
                writer.write(answers.get(line[:4].upper(), b"250 ok") + b"\r\n")
                in_body = line[:4].upper() == b"DATA"
            elif line == b".\r\n":
                self.bodies += 1
                in_body = False
                writer.write(b"250 taken\r\n")
        writer.close()


@pytest.fixture
def server() -> Iterator[SlowToGreet]:
    made = SlowToGreet()
    yield made
    made.greet.set()
    made.stop()


@pytest.mark.slow
@pytest.mark.parametrize("word", ["cancel", "pause"])
def test_what_waited_for_its_connection_when_the_word_came_is_not_sent(
    host: Host, server: SlowToGreet, word: str
) -> None:
    host.campaign([f"w{number}@example.com" for number in range(8)])
    host.server(server)  # type: ignore[arg-type]
    process = host.start("send", "--connections", "3")
    wait_for(lambda: server.connections == 3)

    host.say(word)
    said = {"cancel": '"cancelling"', "pause": '"paused"'}[word]
    wait_for(lambda: said in (host.runs / "1" / "out").read_text())
    server.greet.set()
    if word == "pause":
        wait_for(lambda: '"state": "paused", "total": 8, "accepted": 0' in last_with_none_in_flight(host))
        assert server.bodies == 0
        host.say("run")
    ended = host.ended(process)

    sent = 0 if word == "cancel" else 8
    assert server.bodies == ended.summary["counts"]["accepted"] == sent
    assert sum(line.startswith("B ") for line in host.journal()) == sent, "nothing of it is in doubt either"


def last_with_none_in_flight(host: Host) -> str:
    lines = (host.runs / "1" / "out").read_text().splitlines()
    return next((line for line in reversed(lines) if '"inflight": 0' in line), "")
