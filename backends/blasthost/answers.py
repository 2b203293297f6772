"""What a session is asked for and gives back: how a command ended, how a stream ended, how the connection is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from backends.blasthost.errors import HostError
from backends.blasthost.trouble import failed

State = Literal["connected", "connecting", "lost", "refused"]


@dataclass(frozen=True)
class Completed:
    """What a command said and how it ended; `rtt` is the whole exchange in seconds."""

    stdout: bytes
    stderr: bytes
    rc: int
    rtt: float
    noise: bytes = b""

    def check(self, doing: str) -> "Completed":
        """Itself when rc is 0, else RemoteFailed; `doing` completes "The host failed to ..."."""
        if self.rc:
            raise failed(doing, self.rc, self.stderr)
        return self


class Session(Protocol):
    """The part of HostSession that runs one script and waits for its end."""

    def run(
        self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = ...
    ) -> Completed: ...


def count_of(told: Mapping[str, Any], key: str) -> int | None:
    """The number under `key` of what a host told; None where there is none."""
    value = told.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended: `ended` with the script's `rc`, or because the caller set `stop`."""

    ended: bool
    rc: int | None
    stderr: bytes = b""


@dataclass(frozen=True)
class Status:
    """What is known about the connection; `identity` and `server_fingerprint` are None until it lives."""

    state: State
    since: datetime
    last_error: HostError | None = None
    latency_ms: float | None = None
    server_fingerprint: str | None = None
    identity: str | None = None
