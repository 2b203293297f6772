"""Public keys as people tell them apart: kind, fingerprint, and what an authorized_keys line lets them do. Pure.

Of an option only what is known to be harmless is repeated: a command's arguments or a variable's value may hold a
secret, and so may a comment.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsconsole.redact import mask_addresses, redact

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
SHORTEST_RSA = 2048

# What sshd(8) knows; each may stand in any case.
_SWITCHES = ("agent-forwarding", "port-forwarding", "pty", "user-rc", "x11-forwarding", "touch-required")
_PLAIN = frozenset({"restrict", "cert-authority", "verify-required", *_SWITCHES, *(f"no-{s}" for s in _SWITCHES)})
_REPEATED = frozenset({"from", "expiry-time", "permitlisten", "permitopen", "principals", "tunnel"})
_VALUED = _REPEATED | {"command", "environment"}
_PLAUSIBLE = re.compile(r"[a-z-]{2,24}")  # an unknown option that is shown; anything else could be a secret
_OPTION = re.compile(r'\s*([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?\s*(?:,|\Z)')


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One line that could be read as a key. `comment` is masked; `limits` say its options in words."""

    number: int
    kind: str
    fingerprint: str
    bits: int | None = None  # of an RSA key
    comment: str = ""
    options: frozenset[str] = frozenset()
    limits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def unlimited(self) -> bool:
        """Nothing narrows from where it is used or what it may run."""
        return not self.options & {"from", "command", "restrict", "cert-authority"}


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def kind_of(blob: bytes) -> str:
    """The name a public key begins with; "" when it is none that is known."""
    name, _ = _string(blob)
    word = name.decode("ascii", "replace")
    return word if word.removesuffix("-cert-v01@openssh.com") in KINDS or word in KINDS else ""


def rsa_bits(blob: bytes) -> int | None:
    """The length of an RSA key; None for other kinds."""
    if kind_of(blob) != "ssh-rsa":
        return None
    _, rest = _string(blob)
    _, rest = _string(rest)
    modulus, _ = _string(rest)
    return int.from_bytes(modulus).bit_length()


def read_keys(text: str) -> Iterator[PublicKey | int]:
    """Every line of an authorized_keys file that isn't blank or a comment; a number for one nobody can read."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield _read(number, stripped) or number


def _read(number: int, line: str) -> PublicKey | None:
    options, rest = "", line
    if line.split(None, 1)[0] not in KINDS:
        options, rest = _cut(line)
    words = rest.split(None, 2)
    if len(words) < 2:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    kind = kind_of(blob)
    if not kind or kind != words[0]:
        return None
    known, limits, unknown = _options(options)
    return PublicKey(
        number=number,
        kind=kind,
        fingerprint=fingerprint(blob),
        bits=rsa_bits(blob),
        comment=mask_addresses(redact(words[2]))[:80] if len(words) > 2 else "",
        options=known,
        limits=limits,
        unknown=unknown,
    )


def _cut(line: str) -> tuple[str, str]:
    """The options, up to the first blank outside of quotes, and the rest."""
    quoted = escaped = False
    for at, char in enumerate(line):
        if char == '"' and not escaped:
            quoted = not quoted
        elif char in " \t" and not quoted:
            return line[:at], line[at:].strip()
        escaped = char == "\\" and not escaped
    return line, ""


def _options(text: str) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    known: set[str] = set()
    limits, unknown, at = [], [], 0
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            unknown.append("one that is no word")
            break
        name, value, at = match[1].lower(), match[2], match.end()
        if (name in _PLAIN and value is None) or (name in _VALUED and value is not None):
            known.add(name)
            limits.append(_limit(name, value))
        else:
            unknown.append(name if _PLAUSIBLE.fullmatch(name) else "one that is no word")
    return frozenset(known), tuple(limits), tuple(unknown)


def _limit(name: str, value: str | None) -> str:
    if value is None:
        return name
    if name == "command":
        return f"only {redact((value.split() or ['nothing'])[0])[:80]} (command)"
    if name == "environment":
        variable, equals, _ = value.partition("=")
        return f"sets {variable[:40]}" if equals else "sets what is no variable"  # it may be the value alone
    return f"{name} {redact(value)[:80]}" if name in _REPEATED else name


def _string(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4])
    return (data[4 : 4 + length], data[4 + length :]) if 4 + length <= len(data) else (b"", b"")
