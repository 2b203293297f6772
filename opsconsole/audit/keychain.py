"""The MAC key in the system keyring, out of reach of whoever can read the disk. Needs the library `keyring`."""

import fcntl
import os
import secrets
from pathlib import Path

from opsconsole.audit import key as keyfile
from opsconsole.errors import AuditUnavailable

SERVICE = "opsconsole audit key"


def load_or_create(account: str, file: Path) -> bytes:
    """The key kept for `account`, made when there is none. `file` is where it would be otherwise.

    AuditUnavailable when the keyring can't be used, holds something else, or the key still lies in `file`.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise _no_keyring("the library keyring is not installed", "pip install 'opsconsole[keyring]'") from error
    # One at a time: a keyring has no "only if there is none", and two keys would make two stores of one.
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = keyring.get_password(SERVICE, account)
        if kept is None:
            if file.exists():
                raise AuditUnavailable(
                    f"The audit key is to be kept in the keyring, and still lies in {file}.",
                    keyfile.NO_KEY,
                    f"Move it: keyring set '{SERVICE}' '{account}' < '{file}' && rm '{file}'",
                )
            made = secrets.token_bytes(keyfile.KEY_BYTES).hex()
            keyring.set_password(SERVICE, account, made)
            kept = keyring.get_password(SERVICE, account)
            if kept != made:
                raise _no_keyring("it doesn't keep what it is given", "keyring --list-backends")
    except (KeyringError, OSError) as error:
        raise _no_keyring(f"{type(error).__name__}", "keyring --list-backends") from error
    finally:
        os.close(lock)
    try:
        found = bytes.fromhex(kept.strip())
    except ValueError:
        found = b""
    if len(found) != keyfile.KEY_BYTES:
        raise AuditUnavailable(
            f"What the keyring keeps as '{SERVICE}' for '{account}' is no audit key.",
            keyfile.NO_KEY,
            f"Put it back from a backup: keyring set '{SERVICE}' '{account}'",
        )
    return found


def _no_keyring(why: str, command: str) -> AuditUnavailable:
    return AuditUnavailable(
        f"The audit key is to be kept in the system keyring, which can't be used: {why}.",
        keyfile.NO_KEY,
        f'Run: {command}; or set key = "file" in [audit].',
    )
