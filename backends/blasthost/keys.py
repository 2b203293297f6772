"""Log in with keys only: each key is offered once, and never is a password or a passphrase asked for."""

import base64
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey

from backends.blasthost.errors import AuthRefused, HostUnreachable
from backends.blasthost.sshconfig import Target

# sshd's MaxAuthTries is 6 and some hosts punish an address for failures: stop before that.
_MOST_TRIES = 5


class Agent:
    """The operator's ssh-agent; one that is missing, broken or silent holds no keys."""

    def __init__(self) -> None:
        self._agent: paramiko.Agent | None = None
        self.keys: tuple[AgentKey, ...] = ()
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._agent = paramiko.Agent()
            self.keys = self._agent.get_keys()

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()


@dataclass
class Offer:
    """The keys to offer, in order, and why others can't be."""

    keys: list[paramiko.PKey] = field(default_factory=list)
    locked: list[Path] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def authenticate(transport: paramiko.Transport, hop: Target, agent: Agent) -> None:
    """Log in on `transport` or raise AuthRefused; HostUnreachable when the line broke meanwhile."""
    offer = gather(hop, agent)
    for key in offer.keys[:_MOST_TRIES]:
        try:
            remaining = transport.auth_publickey(hop.user, key)
        except paramiko.AuthenticationException as error:
            if not transport.is_active() and "authentication failures" not in str(error):
                raise _broke_off(hop) from None
        except EOFError:  # the line ended, also where the transport's own thread hasn't noticed yet
            raise _broke_off(hop) from None
        except (paramiko.SSHException, OSError) as error:
            if "authentication failures" in str(error):
                break
            if not transport.is_active():
                raise _broke_off(hop) from None
            offer.broken.append(f"a key could not sign: {error}")
        else:
            if not remaining:
                return
            raise AuthRefused(
                f"{hop.alias} accepted the key of {hop.user} and asks for {' or '.join(remaining)} as well.",
                "The console logs in with keys only.",
                "Let the host accept the key alone for this account, or go through ssh with ProxyCommand.",
            )
    raise _refused(hop, offer)


def gather(hop: Target, agent: Agent) -> Offer:
    """Key files first (by the agent where it holds them), then the agent's other keys if allowed."""
    offer = Offer()
    held = {key.asbytes(): key for key in agent.keys}
    seen: set[bytes] = set()
    for file in hop.identity_files:
        blob = public_blob(file)
        key: paramiko.PKey | None = held.get(blob) if blob else None
        if key is None:
            try:
                key = paramiko.PKey.from_path(file)
            except (TypeError, paramiko.PasswordRequiredException):  # cryptography says TypeError
                offer.locked.append(file)
            except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
                offer.broken.append(f"{file}: {_reason(error)}")
        if key is not None and key.asbytes() not in seen:
            seen.add(key.asbytes())
            offer.keys.append(key)
    if not hop.identities_only:
        offer.keys += [key for blob, key in held.items() if blob not in seen]
    return offer


def public_blob(file: Path) -> bytes | None:
    """The public half of a key file: the file itself, `FILE.pub`, or the open part of a locked key."""
    for name in (file, file.with_name(file.name + ".pub")):
        try:
            words = name.read_text("ascii").split(None, 2)
        except (OSError, ValueError):
            continue
        with contextlib.suppress(ValueError):
            if len(words) > 1 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
                return base64.b64decode(words[1], validate=True)
    with contextlib.suppress(OSError, ValueError):
        lines = file.read_text("ascii").split("-----")
        if len(lines) > 2 and lines[1] == "BEGIN OPENSSH PRIVATE KEY":
            message = paramiko.Message(base64.b64decode(lines[2])[len(b"openssh-key-v1\0") :])
            for _ in range(3):  # cipher, key derivation, its options
                message.get_binary()
            if message.get_int() == 1:
                return message.get_binary()
    return None


def _reason(error: Exception) -> str:
    """Only what kind of trouble it is: a parser's own words could quote the file."""
    return str(error.strerror) if isinstance(error, OSError) else "not a private key the console can read"


def _broke_off(hop: Target) -> HostUnreachable:
    return HostUnreachable(
        f"{hop.alias} ({hop.hostname}:{hop.port}) hung up during the login.",
        "Nothing was started on the host.",
        "The console tries again by itself; if it stays so, look at the host's sshd log.",
    )


def _refused(hop: Target, offer: Offer) -> AuthRefused:
    tried = len(offer.keys[:_MOST_TRIES])
    what = f"{hop.alias} refused the login of {hop.user} ({tried} key{'' if tried == 1 else 's'} offered)."
    if offer.locked:
        names = " ".join(str(file) for file in offer.locked)
        return AuthRefused(
            what,
            f"The console never asks for a passphrase, and these keys are locked: {names}.",
            f"Unlock them in your agent and press retry: ssh-add {names}",
        )
    means = "The host does not accept these keys for this account."
    if not offer.keys:
        means = "The console has no key to offer: none in the agent, none in the files of the SSH config."
    if offer.broken:
        means += " Not usable: " + "; ".join(offer.broken) + "."
    if len(offer.keys) > _MOST_TRIES:
        means += f" Only the first {_MOST_TRIES} of {len(offer.keys)} keys were offered."
    return AuthRefused(
        what,
        means,
        "Check the account and its authorized_keys, name the right IdentityFile, then press retry.",
    )
