"""The MAC key, in a file of its own: who can write the database must not thereby be able to forge records."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from opsconsole.errors import AuditUnavailable

KEY_BYTES = 32
NO_KEY = "No record can be written or verified without it, so nothing can be sent."


def default_path(data_dir: Path) -> Path:
    return data_dir / "audit.key"


def load_or_create(path: Path) -> bytes:
    """The key in `path`, made (mode 0600, 32 random bytes in hex) when there is no such file.

    AuditUnavailable when it can't be read or made, is empty or damaged, or others may read it.
    """
    try:
        if not path.exists():
            _create(path)
        return load(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def load(path: Path) -> bytes:
    """The key in `path`. AuditUnavailable as `load_or_create`."""
    try:
        # Look at the open file, not at the path: what was checked is what is read.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            text = os.read(descriptor, 2 * KEY_BYTES + 2)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error
    if status.st_mode & 0o077:
        raise AuditUnavailable(
            f"The audit key {path} has mode {status.st_mode & 0o777:04o}: others can read it.",
            "Whoever has the key can forge records that verify.",
            f"Run: chmod 600 '{path}' (and ask who could have copied it).",
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise AuditUnavailable(
            f"The audit key {path} belongs to user {status.st_uid}, not to you.",
            "Its owner can forge records that verify.",
            "Start the console as its owner, or give it a data directory of your own.",
        )
    digits = text[:-1] if text.endswith(b"\n") else text
    try:
        key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or len(digits) != 2 * KEY_BYTES:
        raise AuditUnavailable(
            f"The audit key {path} is not {2 * KEY_BYTES} hex digits ({len(text)} bytes read).",
            NO_KEY,
            "Put the file back from a backup. Only if there is no audit store yet: remove it, and it is made anew.",
        )
    return key


def _create(path: Path) -> None:
    """Written and synced under another name, then linked: nobody ever sees half a key, and the first one stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another console was first: its key is the key
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> AuditUnavailable:
    return AuditUnavailable(
        f"The audit key {path} can't be read or made: {error.strerror or error}.",
        NO_KEY,
        f"Look at: ls -ld '{path}' '{path.parent}'",
    )
