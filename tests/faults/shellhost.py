"""A blast host without a network in between: its scripts run here by the real shell, and the line breaks on demand.

Far cheaper than a connection, for the suites that need thousands of them.
"""

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backends.blasthost import frames
from backends.blasthost.answers import Completed, Status, StreamEnd
from backends.blasthost.errors import HostLost, HostUnreachable
from tests.blasthost.local import LocalSession


class ConsoleDied(BaseException):
    """Nothing that the console would do next is done."""


@dataclass
class ShellHost(LocalSession):
    """A session to this machine. `lose` names what befalls the next scripts, one each, in turn: "reply" (it runs,
    and the answer is lost), "upload" (a part of it arrives), "dial" (no connection), "console" (it runs, and the
    console is dead by then), "console before" (it is dead before that).

    Only scripts that `when` is true for are meant. `fired` counts what befell.
    """

    lose: list[str] = field(default_factory=list)
    fired: int = 0
    when: bytes = b""

    def ensure(self) -> float:
        return self.run(":").rtt

    def retry_now(self) -> None:
        """There is no pause to forget."""

    def close(self) -> None:
        """There is no connection."""

    @property
    def status(self) -> Status:
        return Status("connected", datetime.now(UTC), None, 1.0, "SHA256:here", "tester@here")

    def _exchange(self, nonce: str, text: bytes) -> Completed:
        befalls = self.lose.pop(0) if self.lose and self.when in text else ""
        self.fired += bool(befalls)
        if befalls == "dial":
            raise HostUnreachable("No route to the host.", "Nothing was done.", "Wait.")
        if befalls == "console before":
            raise ConsoleDied
        if befalls == "upload":
            text = text[: len(text) * 2 // 3]
        answer = super()._exchange(nonce, text) if befalls != "upload" else self._half(text)
        if befalls == "console":
            raise ConsoleDied
        if befalls:
            raise HostLost("The connection was lost.", "", "", may_have_run=True)
        assert answer is not None
        return answer

    def _half(self, text: bytes) -> None:
        subprocess.run([self.shell, "-c", _command()], input=text, capture_output=True, timeout=60)

    def stream(
        self,
        script: str | bytes,
        *args: str,
        on_data: Callable[[bytes], None],
        stop: threading.Event,
        idle_timeout: float | None = None,
    ) -> StreamEnd:
        nonce = frames.new_nonce()
        out = frames.FrameReader(nonce)
        process = subprocess.Popen(
            [self.shell, "-c", _command()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(frames.shell_input(nonce, script, args, self.shell))
            process.stdin.close()
            while not out.ended and (data := process.stdout.read1(65536)):
                if body := out.feed(data):
                    on_data(body)
                if stop.is_set():
                    process.kill()
                    return StreamEnd(False, None)
        if not out.ended:
            raise HostLost("The connection was lost.", "", "", may_have_run=True)
        return StreamEnd(True, out.rc)


def _command() -> str:
    return frames.COMMAND.removeprefix("exec /bin/sh -c ").strip("'")
