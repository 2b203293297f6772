"""Is this really the host? A strict reader of known_hosts files.

paramiko's own loader stops at the first line it does not understand (`@revoked`, `@cert-authority`, broken
base64) and forgets the lines after it; here every line is judged on its own and nothing is ever rewritten.
There is no "accept new keys": a key is trusted only when an operator typed its fingerprint.
"""

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from backends.blasthost.errors import ChangedHostKey, RevokedHostKey, UnknownHostKey


@dataclass(frozen=True)
class KnownKey:
    """One usable key line that names the host: `blob` is the public key as it goes over the wire."""

    key_type: str
    blob: bytes
    file: Path
    line: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


@dataclass
class KnownHost:
    """All that the files say about one host."""

    keys: list[KnownKey] = field(default_factory=list)
    revoked: list[KnownKey] = field(default_factory=list)
    authorities: list[str] = field(default_factory=list)  # "file:line" of @cert-authority lines that match


def fingerprint(blob: bytes) -> str:
    """`SHA256:...` as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def lookup_name(name: str, port: int) -> str:
    """The name under which known_hosts files list a host: `[host]:port` unless the port is 22."""
    return name.lower() if port == 22 else f"[{name.lower()}]:{port}"


def find(name: str, port: int, files: Iterable[Path]) -> KnownHost:
    """Read `files` line by line; missing files and unreadable lines are passed over.

    Raises PermissionError and other OSErrors of files that exist and can't be read: not knowing which keys
    are revoked is not the same as none being revoked.
    """
    wanted, bare = lookup_name(name, port), lookup_name(name, 22)
    found = KnownHost()
    for file in files:
        try:
            text = file.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            marker, hosts, key_type, blob = _split(line)
            # A key revoked for the host is revoked on all of its ports; trust holds for the port named.
            if not hosts or not (_names(hosts, wanted) or (marker and _names(hosts, bare))):
                continue
            if marker == "@cert-authority":
                found.authorities.append(f"{file}:{number}")
            elif blob and marker in ("", "@revoked"):
                known = KnownKey(key_type, blob, file, number)
                (found.revoked if marker else found.keys).append(known)
    return found


def check(target_name: str, port: int, key: paramiko.PKey, files: Iterable[Path]) -> None:
    """Return if `key` is listed for the host; otherwise raise Unknown-, Changed- or RevokedHostKey.

    A key of a type we know no key of, from a host we know by another, counts as changed: known types are
    asked for first, so an honest host would have shown the known one.
    """
    blob, shown = key.asbytes(), fingerprint(key.asbytes())
    key_type, where = key.get_name(), lookup_name(target_name, port)
    known = find(target_name, port, files)
    for line in known.revoked:
        if line.blob == blob:
            raise RevokedHostKey(
                f"The host key of {where} ({key_type} {shown}) is marked @revoked in {line.file}:{line.line}.",
                "Somebody declared this key stolen or retired; whoever answers may not be the host.",
                "Do not connect; ask the host's owner which key is valid now.",
            )
    if any(line.blob == blob for line in known.keys):
        return
    if known.keys:
        expected = tuple(dict.fromkeys(f"{line.key_type} {line.fingerprint}" for line in known.keys))
        places = ", ".join(dict.fromkeys(f"{line.file}:{line.line}" for line in known.keys))
        raise ChangedHostKey(
            f"The host key of {where} has changed: expected {' or '.join(expected)}, received {key_type} {shown}.",
            "Either the host was re-installed or somebody stands between you and it; nothing was sent.",
            "Ask the host's owner; only if they confirm the new key, remove the old line by hand"
            f" ({places}) and connect again.",
            fingerprint=shown,
            expected=expected,
        )
    quoted = shlex.quote(target_name)
    authority = (
        f" A @cert-authority line covers it ({known.authorities[0]}), but host certificates are not supported."
        if known.authorities
        else ""
    )
    raise UnknownHostKey(
        f"The host key of {where} is not known: {key_type} {shown}.",
        "The console never trusts a key on first sight; nothing was sent." + authority,
        "Compare the fingerprint with what the host's owner gives you (on the host: ssh-keygen -lf"
        " /etc/ssh/ssh_host_ed25519_key.pub; over another network:"
        f" ssh-keyscan -p {port} {quoted} | ssh-keygen -lf -), then run:"
        f" opsconsole host trust {quoted} {shown}",
        name=target_name,
        port=port,
        blob=blob,
        fingerprint=shown,
    )


def preferred_algorithms(name: str, port: int, files: Iterable[Path], offered: Iterable[str]) -> tuple[str, ...]:
    """`offered` re-ordered so that the algorithms of keys known for this host come first.

    Otherwise a host with several keys could show one we never saw while we know another of its keys.
    """
    types = {line.key_type for line in find(name, port, files).keys}
    if "ssh-rsa" in types:
        types |= {"rsa-sha2-512", "rsa-sha2-256"}
    every = list(offered)
    return tuple([a for a in every if a in types] + [a for a in every if a not in types])


def trust(name: str, port: int, blob: bytes, file: Path) -> None:
    """Append one line for the public key `blob` to `file` (0600, made when missing), synced to the disk.

    The caller has compared the fingerprint with what the operator typed. Existing lines are never touched.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_type = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii")
    line = f"{lookup_name(name, port)} {key_type} {base64.b64encode(blob).decode()}\n"
    fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(fd, line.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _split(line: str) -> tuple[str, str, str, bytes]:
    """(marker, hosts, key type, key blob) of a line; empty parts where the line has none or is broken."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return "", "", "", b""
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3:
        return marker, "", "", b""
    hosts, key_type, encoded = words[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return marker, hosts, key_type, b""
    # The blob names its own type; a line that says otherwise is damaged and proves nothing.
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != key_type.encode():
        blob = b""
    return marker, hosts, key_type, blob


def _names(hosts: str, wanted: str) -> bool:
    """Does the host column (plain, hashed, wildcards, negation) name `wanted`?"""
    if hosts.startswith("|1|"):
        return _hashed(hosts, wanted)
    matched = False
    for pattern in _patterns(hosts):
        negated, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        # Only * and ? are wild in known_hosts; brackets belong to [host]:port.
        if fnmatch.fnmatchcase(wanted, pattern.lower().replace("[", "[[]")):
            if negated:
                return False
            matched = True
    return matched


def _patterns(hosts: str) -> Iterator[str]:
    return (pattern for pattern in hosts.split(",") if pattern)


def _hashed(hosts: str, wanted: str) -> bool:
    try:
        _, _, salt, digest = hosts.split("|")
        mine = hmac.new(base64.b64decode(salt), wanted.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(mine, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False
