"""Key pairs made for one occasion: the embedded host's own key and the one that may log in."""

import base64
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 pair. `key` can sign; it never shows itself."""

    key: paramiko.Ed25519Key
    _text: str

    def __repr__(self) -> str:
        return f"<key pair {self.key.fingerprint}>"

    @property
    def public(self) -> str:
        """`ssh-ed25519 AAAA…`, as known_hosts and authorized_keys have it."""
        return f"{self.key.get_name()} {base64.b64encode(self.key.asbytes()).decode()}"

    def save(self, path: Path) -> Path:
        """The private half in a file only its owner may read."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._text)
        return path


def make_key_pair() -> KeyPair:
    raw = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    text = raw.decode()
    return KeyPair(paramiko.Ed25519Key(file_obj=StringIO(text)), text)
