"""Brings a campaign's files over, whole: what arrives is what was looked at, by its digest."""

import hashlib
from collections.abc import Mapping

from backends.blasthost.errors import TooMuchOutput
from backends.blasthost.scripts import script
from backends.blasthost.session import HostSession
from opsconsole.campaign import FILES, check_slug
from opsconsole.hostfacts import FileFact

CAP = 64 * 2**20  # bytes a file
LIMIT = 120.0  # seconds a file
_REASONS = {3: "missing", 4: "not readable", 5: f"larger than {CAP // 2**20} MiB"}


def fetch(
    session: HostSession, campaigns_dir: str, slug: str, seen: Mapping[str, FileFact]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files by name, and the reason for each that isn't among them. `seen` is what the look before found.

    Raises HostError when the host can't be asked at all.
    """
    files: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    for name in FILES:
        content = _fetch_one(session, f"{campaigns_dir.rstrip('/')}/{check_slug(slug)}/{name}")
        digest = seen[name].sha256 if name in seen else None
        if not isinstance(content, bytes):
            unread[name] = content
        elif digest is not None and hashlib.sha256(content).hexdigest() != digest:
            unread[name] = "not what the look found: it changed in between"
        else:
            files[name] = content
    return files, unread


def _fetch_one(session: HostSession, path: str) -> bytes | str:
    """The content, or why there is none. A file that changes while it is read gets a second chance."""
    for _ in range(2):
        try:
            done = session.run(script("fetch"), path, str(CAP), timeout=LIMIT, max_bytes=CAP + 4096)
        except TooMuchOutput as error:
            return error.what
        if done.rc:
            return _REASONS.get(done.rc, f"not read (exit status {done.rc})")
        digest, _, content = done.stdout.partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() == digest:
            return content
    return "changing while it is read"
