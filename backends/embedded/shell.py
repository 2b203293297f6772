"""One exec on the embedded host: the real /bin/sh, its three streams carried over an SSH channel.

It behaves as sshd does without a terminal: the exit status goes out when the child ends, the channel closes when
its streams do, and what a child left running elsewhere (setsid, its streams in files) is none of its business.
"""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO

import paramiko

CHUNK = 64 * 1024
LOOK_UP_MS = 250  # how often a pump that moves nothing looks whether the channel is still there
ANSWER_SECONDS = 0.1  # a client that wants no answer gets none


class Shell:
    """A child of its own session, pumped by daemon threads until both sides are done."""

    def __init__(
        self, channel: paramiko.Channel, argv: list[str], home: Path, environment: Mapping[str, str]
    ) -> None:
        self._channel = channel
        self._ended = Event()
        self._child = subprocess.Popen(
            argv,
            cwd=home,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def done(self) -> bool:
        return self._child.poll() is not None and self._channel.closed

    def run(self, answered: Event) -> None:
        """Starts the pumps and returns at once. They wait until the client has the answer to its request."""
        Thread(target=self._carry, args=(answered,), name=f"embedded-ssh-exec-{self.pid}", daemon=True).start()

    def end(self) -> None:
        """Ends the child's process group if the child still lives; what left the group lives on."""
        if self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=2)

    def _carry(self, answered: Event) -> None:
        answered.wait(ANSWER_SECONDS)
        child, channel = self._child, self._channel
        assert child.stdin
        assert child.stdout
        assert child.stderr
        pumps = [
            Thread(target=self._pump_in, args=(child.stdin,), daemon=True),
            Thread(target=self._pump_out, args=(child.stdout, channel.sendall), daemon=True),
            Thread(target=self._pump_out, args=(child.stderr, channel.sendall_stderr), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        status = child.wait()
        with suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(status if status >= 0 else 128 - status)
        for pump in pumps[1:]:
            pump.join()
        self._ended.set()
        with suppress(OSError, EOFError, paramiko.SSHException):
            channel.shutdown_write()
            channel.close()

    def _pump_out(self, stream: IO[bytes], send: Callable[[bytes], object]) -> None:
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        with stream, suppress(OSError, EOFError):  # closing tells a child whose console went away
            while not self._channel.closed:
                if not poll.poll(LOOK_UP_MS):
                    continue
                data = os.read(stream.fileno(), CHUNK)
                if not data:
                    return
                send(data)

    def _pump_in(self, stream: IO[bytes]) -> None:
        os.set_blocking(stream.fileno(), False)
        poll = select.poll()
        poll.register(stream, select.POLLOUT)
        # Closing is the half-close: the child sees the end of its input while its output is still carried.
        # An OSError is a child that closed its stdin or is gone: the rest has no reader.
        with suppress(OSError), stream:
            while data := self._channel.recv(CHUNK):
                left = memoryview(data)
                while left:
                    if self._ended.is_set():
                        return
                    if poll.poll(LOOK_UP_MS):
                        left = left[os.write(stream.fileno(), left) :]
