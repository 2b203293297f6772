"""One kept-alive connection to a blast host and the only way commands reach it.

Blocking and thread-safe; every call has a limit. A command that was started is never started again by
itself: when the line breaks meanwhile, the caller gets HostLost and has to look at the host.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import paramiko

from backends.blasthost import frames
from backends.blasthost.answers import Completed, State, Status, StreamEnd
from backends.blasthost.dial import Link, close_quietly, dial
from backends.blasthost.errors import AuthRefused, HostError, HostKeyRefused
from backends.blasthost.heartbeat import Heartbeat, Wake
from backends.blasthost.sshconfig import Target
from backends.blasthost.trouble import failed, lost, restricted, too_much, too_slow

__all__ = ["Completed", "HostSession", "State", "Status", "StreamEnd"]

# sshd allows 10 sessions a connection and frees them late; 8 in flight were refused, 4 never.
_COMMANDS, _STREAMS = 4, 3
_PAUSES = (0.5, 1.0, 2.0, 4.0, 5.0)
_HEARTBEAT_LIMIT = 4.0
_FULL_FOR = 1.0
_CHUNK = 256 * 1024
_ANSWER, _NOISE = 8 * 2**20, 2**20  # bytes of an answer, unless more is asked for, and around it
_STDERR_TAIL = 64 * 1024


class HostSession:
    """See the module; connects on the first call, reconnects lazily with growing pauses."""

    def __init__(
        self,
        target: Target,
        *,
        known_hosts: Sequence[Path] = (),
        connect_timeout: float = 8.0,
        command_timeout: float = 20.0,
        heartbeat: float = 1.0,
        compression: bool = True,
        on_state: Callable[[Status], None] = lambda status: None,
    ) -> None:
        """`known_hosts`: the console's own files, read besides those of the target; times in seconds.

        `on_state` is called by whichever thread noticed the change; it must neither raise nor wait long."""
        self.target = target
        self._known_hosts = tuple(known_hosts)
        self._connect_timeout = connect_timeout
        self._command_timeout = command_timeout
        self._beat_every = heartbeat
        self._compression = compression
        self._on_state = on_state
        self._commands = threading.BoundedSemaphore(_COMMANDS)
        self._streams = threading.BoundedSemaphore(_STREAMS)
        self._dialing = threading.Lock()
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._heartbeat: Heartbeat | None = None
        self._status = Status("connecting", datetime.now(UTC))
        self._failures = 0
        self._not_before = 0.0
        self._closed = False

    # -- what is known -------------------------------------------------------------------------------------
    @property
    def status(self) -> Status:
        return self._status

    @property
    def state(self) -> State:
        return self._status.state

    @property
    def since(self) -> datetime:
        return self._status.since

    @property
    def last_error(self) -> HostError | None:
        return self._status.last_error

    @property
    def latency_ms(self) -> float | None:
        return self._status.latency_ms

    @property
    def server_fingerprint(self) -> str | None:
        return self._status.server_fingerprint

    @property
    def identity(self) -> str | None:
        return self._status.identity

    # -- the connection ------------------------------------------------------------------------------------
    def ensure(self) -> float:
        """Connect if need be; the round trip of a trivial command in seconds."""
        return self.run(":").rtt

    def retry_now(self) -> None:
        """Forget pauses and refusals: the next call dials at once."""
        with self._lock:
            self._failures, self._not_before = 0, 0.0
            refused = self._status.state == "refused"
        if refused:
            self._change("connecting", None)

    def close(self) -> None:
        """End the connection; calls under way get HostLost, later ones too."""
        self._closed = True
        link = self._link
        if link is not None:
            link.end(lost("The console closed the connection."))

    def __enter__(self) -> "HostSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> Link:
        """The live link, dialled if need be; fails at once during a pause or after a refusal."""
        link = self._link
        if link is not None and link.alive:
            return link
        with self._dialing:
            if self._closed:
                raise lost("The connection to the host was closed by the console.")
            link = self._link
            if link is not None and link.alive:
                return link
            error = self._status.last_error
            if error is not None and (self._status.state == "refused" or time.monotonic() < self._not_before):
                raise error.with_traceback(None)
            self._change("connecting", error)
            return self._dial()

    def _dial(self) -> Link:
        try:
            link = dial(
                self.target, self._known_hosts, timeout=self._connect_timeout, compression=self._compression
            )
        except (HostKeyRefused, AuthRefused) as error:
            self._change("refused", error)
            raise
        except HostError as error:
            pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)] * random.uniform(0.8, 1.2)  # noqa: S311
            self._failures += 1
            self._not_before = time.monotonic() + pause
            self._change("lost", error)
            raise
        self._failures, self._not_before = 0, 0.0
        self._link = link
        self._change("connected", None, link)
        link.on_end = self._ended
        if self._closed:  # close() came while we dialled
            link.end(lost("The console closed the connection."))
        self._heartbeat = Heartbeat(
            link, every=self._beat_every, limit=_HEARTBEAT_LIMIT, on_beat=lambda ms: self._beat(link, ms)
        )
        return link

    def _ended(self, link: Link) -> None:
        if link is self._link:
            self._change("lost", link.why)

    def _beat(self, link: Link, milliseconds: float) -> None:
        with self._lock:
            if link is not self._link or self._status.state != "connected":
                return
            old = self._status
            self._status = Status(old.state, old.since, None, milliseconds, old.server_fingerprint, old.identity)

    def _change(self, state: State, error: HostError | None, link: Link | None = None) -> None:
        with self._lock:
            since = self._status.since if state == self._status.state else datetime.now(UTC)
            fingerprint, identity = (link.fingerprint, link.identity) if link else (None, None)
            self._status = status = Status(state, since, error, None, fingerprint, identity)
        self._on_state(status)

    # -- commands ------------------------------------------------------------------------------------------
    def run(
        self,
        script: str | bytes,
        *args: str,
        timeout: float | None = None,
        max_bytes: int = _ANSWER,
        interpreter: str = "/bin/sh",
    ) -> Completed:
        """Run a POSIX shell script with `args` as its "$@", standard input empty; any rc is returned.

        `timeout` (seconds, the session's command_timeout by default) covers everything after connecting.
        Raises HostError; its `may_have_run` says whether the script could have begun.
        """
        nonce = frames.new_nonce()
        text = frames.shell_input(nonce, script, args, interpreter)
        return self._exchange(interpreter, nonce, text, timeout, max_bytes)

    def run_python(
        self,
        source: str | bytes,
        stdin_json: object = None,
        *,
        timeout: float | None = None,
        max_bytes: int = _ANSWER,
        interpreter: str = "python3",
    ) -> Completed:
        """Run a Python program of any size, isolated (-I -S); it reads `stdin_json` as JSON from sys.stdin.

        Raises like `run`, and RemoteFailed with rc 127 when the host has no such interpreter.
        """
        nonce = frames.new_nonce()
        text = frames.python_input(nonce, source, stdin_json, interpreter)
        return self._exchange(interpreter, nonce, text, timeout, max_bytes)

    def stream(
        self,
        script: str | bytes,
        *args: str,
        on_data: Callable[[bytes], None],
        stop: threading.Event,
        idle_timeout: float | None = None,
    ) -> StreamEnd:
        """Run a script and hand over its output as it comes; a slow `on_data` slows the host down.

        Returns when the script ends or soon after `stop` is set. Raises HostLost when the line breaks,
        HostTimeout after `idle_timeout` seconds without output. The script on the host learns of `stop` only
        when it next writes.
        """
        nonce = frames.new_nonce()
        text = frames.shell_input(nonce, script, args)
        out, err = frames.FrameReader(nonce), frames.FrameReader(nonce)
        stderr = b""
        with self._channel(self._streams, None) as (link, channel):
            wake = Wake.on(channel)
            _send(channel, text, self._command_timeout)
            heard = time.monotonic()
            while not out.ended:
                if stop.is_set():
                    return StreamEnd(False, None, stderr)
                wake.wait(0.1)
                wake.reset()
                while channel.recv_stderr_ready():
                    stderr = (stderr + err.feed(channel.recv_stderr(_CHUNK)))[-_STDERR_TAIL:]
                while channel.recv_ready() and not out.ended and not stop.is_set():
                    body = out.feed(channel.recv(_CHUNK))
                    heard = time.monotonic()
                    if body:
                        on_data(body)
                if not out.ended and not channel.recv_ready() and (channel.eof_received or channel.closed):
                    raise self._early_end(link, channel, out, frames.SHELL)
                if idle_timeout is not None and time.monotonic() - heard > idle_timeout:
                    raise too_slow(self.target, f"said nothing for {idle_timeout:g} s")
            return StreamEnd(True, out.rc, stderr)

    def _exchange(self, program: str, nonce: str, text: bytes, timeout: float | None, max_bytes: int) -> Completed:
        limit = self._command_timeout if timeout is None else timeout
        out, err = frames.FrameReader(nonce), frames.FrameReader(nonce)
        stdout, stderr, heard = bytearray(), bytearray(), 0  # heard: with the noise, which isn't kept
        with self._channel(self._commands, limit) as (link, channel):
            started = time.monotonic()
            wake = Wake.on(channel)
            _send(channel, text, limit)
            while not (out.ended and err.ended):
                if not wake.wait(max(0.0, started + limit - time.monotonic())):
                    raise too_slow(self.target, f"did not finish within {limit:g} s")
                wake.reset()
                # Both streams share one window: whoever reads only one of them hangs on the other.
                while (more := channel.recv_ready()) | (errors := channel.recv_stderr_ready()):
                    chunk = channel.recv(_CHUNK) if more else b""
                    error_chunk = channel.recv_stderr(_CHUNK) if errors else b""
                    stdout += out.feed(chunk)
                    stderr += err.feed(error_chunk)
                    heard += len(chunk) + len(error_chunk)
                    if heard > max_bytes + _NOISE or len(stdout) + len(stderr) > max_bytes:
                        raise too_much(self.target, max_bytes)
                if not (out.ended and err.ended) and (channel.eof_received or channel.closed):
                    if channel.recv_ready() or channel.recv_stderr_ready():
                        wake.set()
                        continue
                    if out.ended:  # the end is certain; only the last of stderr is not
                        break
                    raise self._early_end(link, channel, out, program)
            assert out.rc is not None
            return Completed(
                bytes(stdout), bytes(stderr), out.rc, time.monotonic() - started, out.noise + err.noise
            )

    @contextlib.contextmanager
    def _channel(
        self, slots: threading.BoundedSemaphore, limit: float | None
    ) -> Iterator[tuple[Link, paramiko.Channel]]:
        """A channel that waits for a script. Up to here nothing ran, so opening is tried again freely."""
        self._connected()
        limit = self._command_timeout if limit is None else limit
        deadline = time.monotonic() + limit
        if not slots.acquire(timeout=limit):
            raise too_slow(self.target, f"had no free session within {limit:g} s", may_have_run=False)
        try:
            link, channel = self._open(deadline)
            try:
                yield link, channel
            finally:
                close_quietly(channel)
        finally:
            slots.release()

    def _open(self, deadline: float) -> tuple[Link, paramiko.Channel]:
        redialled = False
        full_since: float | None = None
        while True:
            link = self._connected()
            left = deadline - time.monotonic()
            if left <= 0:
                raise too_slow(self.target, "opened no session in time", may_have_run=False)
            heartbeat = self._heartbeat
            spare = heartbeat.take_spare() if heartbeat is not None and heartbeat.link is link else None
            if spare is not None:
                return link, spare
            try:
                channel = link.transport.open_session(timeout=left)
            except paramiko.ChannelException as error:
                if error.code != 2:
                    raise restricted(self.target, f"opens no session: {error.text}", may_have_run=False) from None
                # MaxSessions: sshd frees a session late, or there are so few that the heartbeat is in the way.
                now = time.monotonic()
                full_since = full_since or now
                if now - full_since > _FULL_FOR and heartbeat is not None:
                    heartbeat.make_way()
                time.sleep(0.02)
            except (paramiko.SSHException, EOFError, OSError):
                if link.alive:
                    continue
                link.end()
                if redialled:
                    raise link.why from None
                redialled = True
            else:
                self._start(link, channel, deadline)
                return link, channel

    def _start(self, link: Link, channel: paramiko.Channel, deadline: float) -> None:
        try:
            with _closing_at(channel, deadline):
                channel.exec_command(frames.COMMAND)
        except (paramiko.SSHException, EOFError, OSError):
            close_quietly(channel)
            raise self._not_started(link, deadline) from None

    # -- what went wrong -----------------------------------------------------------------------------------
    def _not_started(self, link: Link, deadline: float) -> HostError:
        if not link.alive:
            link.end()
            return link.why
        if time.monotonic() >= deadline:
            return too_slow(self.target, "did not start a command in time", may_have_run=False)
        return restricted(self.target, "refuses to run commands", may_have_run=False)

    def _early_end(self, link: Link, channel: paramiko.Channel, out: frames.FrameReader, program: str) -> HostError:
        """Why the output ended without its closing record."""
        channel.status_event.wait(2.0)
        # A dead line sets the exit status to -1; so does a signal. Both leave the outcome open.
        if channel.exit_status >= 0 and not out.hello:
            if channel.exit_status == 127 and program != frames.SHELL:
                return failed(f"run {program}", 127, b"not found")
            said = out.noise.decode("ascii", "replace").strip().splitlines()
            return restricted(
                self.target, f"does not run our shell: {ascii(said[0]) if said else 'it said nothing'}"
            )
        if not link.alive or (channel.exit_status < 0 and not channel.eof_received):
            link.end()
            why = link.why
            return lost(f"{self.target.alias}: {why.what}", may_have_run=True)
        return lost(f"The shell on {self.target.alias} was ended before its script was.", may_have_run=True)


def _send(channel: paramiko.Channel, text: bytes, limit: float) -> None:
    """Hand over the script. A host that closes early is understood from what it said, not from here."""
    channel.settimeout(limit)
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.sendall(text)
        channel.shutdown_write()


@contextlib.contextmanager
def _closing_at(channel: paramiko.Channel, deadline: float) -> Iterator[None]:
    """paramiko waits for the start of a command without a limit; this gives it one."""
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), close_quietly, (channel,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
