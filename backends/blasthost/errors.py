"""What can go wrong between the console and a host, each told in three sentences.

Every error says what happened, what it means and what to do next. None carries a secret: no key
material, no passphrase, no script. `may_have_run` is False only where the command provably never started,
which is the one case in which a caller may try again. Those after which nothing was done are OutOfReach.
"""

from opsconsole.ports import OutOfReach, Trouble


class HostError(Trouble):
    """Base of all errors of this package; `str()` joins its three sentences."""

    def __init__(self, what: str, means: str, next_step: str, *, may_have_run: bool = False) -> None:
        super().__init__(what, means, next_step)
        self.may_have_run = may_have_run


class HostUnreachable(HostError, OutOfReach):
    """No usable connection could be made; tried again after a pause."""


class HostKeyRefused(HostError, OutOfReach):
    """The host did not prove who it is; nothing was sent to it, and it is not tried again by itself."""


class UnknownHostKey(HostKeyRefused):
    """No known_hosts line names this host.

    `name`, `port` and `blob` (the public key it showed) are what `hostkeys.trust` needs once the operator
    has typed `fingerprint`.
    """

    def __init__(
        self, what: str, means: str, next_step: str, *, name: str, port: int, blob: bytes, fingerprint: str
    ) -> None:
        super().__init__(what, means, next_step)
        self.name = name
        self.port = port
        self.blob = blob
        self.fingerprint = fingerprint


class ChangedHostKey(HostKeyRefused):
    """The host is known under another key; there is no way past this in the console."""

    def __init__(
        self,
        what: str,
        means: str,
        next_step: str,
        *,
        fingerprint: str,
        expected: tuple[str, ...],
    ) -> None:
        super().__init__(what, means, next_step)
        self.fingerprint = fingerprint
        self.expected = expected


class RevokedHostKey(HostKeyRefused):
    """The key is marked @revoked in a known_hosts file."""


class AuthRefused(HostError, OutOfReach):
    """The host accepted none of our keys; not tried again by itself, to keep the account unlocked."""


class HostTimeout(HostError):
    """The answer did not come within the limit; the connection itself may be well."""


class HostLost(HostError):
    """The connection ended before the answer was complete: what the command did is unknown."""


class HostRestricted(HostError, OutOfReach):
    """The account runs something else than our shell (ForceCommand, restrict, no login)."""


class TooMuchOutput(HostError):
    """The command wrote more than the cap; the channel was closed."""


class RemoteFailed(HostError):
    """The command ran to its end and ended with `rc`; `stderr` is its last words, at most 4 KiB."""

    def __init__(self, what: str, means: str, next_step: str, *, rc: int, stderr: str = "") -> None:
        super().__init__(what, means, next_step, may_have_run=True)
        self.rc = rc
        self.stderr = stderr[-4096:]
