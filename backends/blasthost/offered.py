"""The keys this console offers to a host: which there are, whether they are locked, who else could read them."""

import base64
import binascii
import os
import pwd
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backends.blasthost.keys import Agent, public_blob
from backends.blasthost.publickeys import SHORTEST_RSA, fingerprint, kind_of, rsa_bits
from backends.blasthost.sshconfig import Target
from opsconsole.ports import Access
from opsconsole.settings import BlastHost

_BLANK = b"\0\0\0\x04none"  # the cipher of a key without a passphrase, as it stands in OpenSSH's own format


def offered(target: Target, settings: BlastHost, host: str) -> tuple[Access, ...]:
    """Key files first, then what else the agent would offer. Looks only at this machine."""
    named = {Path(name).expanduser() for name in settings.key_files}
    files = dict.fromkeys(file for hop in (*target.proxy_jump, target) for file in hop.identity_files)
    found = [entry for file in files if (entry := _file(file, file in named, host))]
    known = {entry.fingerprint for entry in found}
    return (*found, *(_held(host, known) if not target.identities_only else ()))


def _file(file: Path, named: bool, host: str) -> Access | None:
    try:
        status = file.stat()
    except OSError as error:
        if not named:
            return None
        return Access(
            kind="key",
            name=file.name,
            where=f"this console: {file}",
            trouble=f"The config names it, and it can't be looked at: {error.strerror}.",
        )
    blob = public_blob(file)
    locked = is_locked(file)
    lock = "locked by a passphrase" if locked else "not locked: whoever has the file has the key"
    if locked is None:
        lock = "whether it is locked can't be told"
    return Access(
        kind="key",
        name=file.name,
        where=f"this console: {file}",
        scope=f"offered to {host}; {lock}",
        owner=_owner(status.st_uid),
        mode=stat.filemode(status.st_mode),
        fingerprint=_named(blob),
        since=datetime.fromtimestamp(status.st_mtime, UTC),
        trouble=_wrong(status, blob),
    )


def _wrong(status: os.stat_result, blob: bytes | None) -> str:
    if status.st_mode & 0o077:
        return f"It has mode {stat.S_IMODE(status.st_mode):04o}: others on this machine can use it. Set it to 0600."
    if status.st_uid not in (os.geteuid(), 0):
        return f"It belongs to {_owner(status.st_uid)}, who can use it as well."
    if blob and (kind_of(blob) == "ssh-dss" or (rsa_bits(blob) or SHORTEST_RSA) < SHORTEST_RSA):
        return "It is too weak: a key of this kind and length can be forged. Replace it."
    return ""


def _held(host: str, known: set[str]) -> Iterator[Access]:
    agent = Agent()
    try:
        blobs = [key.asbytes() for key in agent.keys]
    finally:
        agent.close()
    for blob in blobs:
        if _named(blob) not in known:
            scope = f"offered to {host} as well, since IdentitiesOnly isn't set"
            yield Access(
                kind="key", name="held by the agent", where="ssh-agent", scope=scope, fingerprint=_named(blob)
            )


def _named(blob: bytes | None) -> str:
    return f"{kind_of(blob) or 'unknown kind'} {fingerprint(blob)}" if blob else "not told without its passphrase"


def is_locked(file: Path) -> bool | None:
    """Whether a private key needs a passphrase, by its open part; None when that can't be told."""
    try:
        text = file.read_text("ascii")
    except (OSError, ValueError):
        return None
    parts = text.split("-----")
    if len(parts) < 3:
        return None
    if parts[1] == "BEGIN OPENSSH PRIVATE KEY":
        try:
            return base64.b64decode(parts[2])[15:23] != _BLANK
        except binascii.Error:
            return None
    if parts[1].endswith("PRIVATE KEY"):
        return "ENCRYPTED" in parts[1] or "ENCRYPTED" in parts[2][:100]
    return None


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
