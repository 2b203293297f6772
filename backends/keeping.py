"""How the token of a service is kept, and by what way it travels: where it comes from, who else could read that.

Of the token itself nothing is looked at.
"""

import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from backends.rest import LOOPBACK
from opsconsole.ports import Access
from opsconsole.settings import SecretFrom


def way(url: str, where: str) -> Access:
    """Whether others may listen."""
    plain = urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK
    return Access(
        kind="credential",
        name="the way to it",
        where=where,
        scope="HTTP, not encrypted" if urlsplit(url).scheme == "http" else "HTTPS",
        trouble="The token travels unencrypted: whoever listens has it. Use https." if plain else "",
    )


def kept(token: SecretFrom | None, what: str) -> Iterator[Access]:
    """`what` can't be asked without it: `the dashboard`."""
    if token is None:
        yield Access(kind="credential", name="token", where="nowhere", scope="the config names none")
    elif token.env:
        there = "set" if os.environ.get(token.env) else "not set"
        yield Access(
            kind="credential",
            name="token",
            where=f"environment variable {token.env}",
            scope=f"{there}; its value is never shown",
            trouble="" if there == "set" else f"It isn't set: {what} can't be asked.",
        )
    elif token.file:
        yield _file("token", Path(token.file).expanduser(), "its content is never shown", 0o077)
    elif token.cmd:
        program = shutil.which(token.cmd[0])
        if program is None:
            why = f"There is no such program: {what} can't be asked."
            yield Access(kind="credential", name="token", where=f"command {token.cmd[0]}", trouble=why)
        else:
            yield _file("token", Path(program), "a command that prints it; its output is never shown", 0o022)


def _file(name: str, path: Path, scope: str, open_to_others: int) -> Access:
    try:
        status = path.stat()
    except OSError as error:
        why = f"It can't be looked at: {error.strerror}."
        return Access(kind="credential", name=name, where=f"this console: {path}", scope=scope, trouble=why)
    others = status.st_mode & open_to_others
    mode = stat.S_IMODE(status.st_mode)
    reach = "can have it. Set it to 0600." if open_to_others & 0o044 else "can change it. Set it to 0755."
    return Access(
        kind="credential",
        name=name,
        where=f"this console: {path}",
        scope=scope,
        owner=_owner(status.st_uid),
        mode=stat.filemode(status.st_mode),
        since=datetime.fromtimestamp(status.st_mtime, UTC),
        trouble=f"It has mode {mode:04o}: others on this machine {reach}" if others else "",
    )


def address(url: str) -> str:
    """Without what a url may hide."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
