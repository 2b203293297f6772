"""Puts a report where it is kept: two files beside each other, for this user's eyes only, never over another's.

Writing one is a look at data, so it works without a store as well; where the note of it can't be kept, it says why.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from opsconsole.errors import AuditUnavailable
from opsconsole.ports import Refused, Trouble
from opsconsole.reports.model import Model
from opsconsole.reports.render import render_html, render_markdown

if TYPE_CHECKING:
    from opsconsole.console import Console

FOLDER = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """`unrecorded` says why no record of it was made; "" when there is one."""

    model: Model
    files: tuple[Path, ...]
    unrecorded: str


def write_both(console: "Console", model: Model, at: datetime, data_dir: Path, slug: str = "") -> Written:
    """Markdown and HTML into the reports' folder of `data_dir`; the same report again is found there, not doubled.

    Raises Trouble when the disk doesn't take them.
    """
    texts = {".md": render_markdown(model).encode(), ".html": render_html(model).encode()}
    folder = data_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in count(1):
            stem = f"{model.stem}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" + (f"-{number}" if number > 1 else "")
            files = {folder / f"{stem}{end}": text for end, text in texts.items()}
            if all(_is_ours(path, text) for path, text in files.items()):
                break
        for path, text in files.items():
            _create(path, text)
    except OSError as error:
        raise _not_written(folder, error) from error
    return Written(model=model, files=tuple(files), unrecorded=record(console, slug, files))


def write_one(console: "Console", text: str, path: Path, slug: str = "") -> str:
    """One file where the operator wants it; why it isn't on record, or "". Raises Refused when it exists."""
    data = text.encode()
    try:
        _create(path, data, exist_ok=False)
    except FileExistsError:
        raise Refused(f"{path} exists.", "Nothing was written.", "Choose another name.") from None
    except OSError as error:
        raise _not_written(path, error) from error
    return record(console, slug, {path: data})


def record(console: "Console", slug: str, files: "dict[Path, bytes]") -> str:
    """Note that data left the console; why that couldn't be noted, "" when it was."""
    if console.read_only:
        return "this console is read-only, and writes no record"
    if console.store_trouble:
        return console.store_trouble
    names = {path.name: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    try:
        console.store().note(console.identity.event("report", slug, "", "", files=names))
    except AuditUnavailable as error:
        return str(error)
    return ""


def _is_ours(path: Path, text: bytes) -> bool:
    """Whether this name is free, or holds this very report already."""
    if not os.path.lexists(path):
        return True
    return (
        path.is_file() and not path.is_symlink() and path.stat().st_size == len(text) and path.read_bytes() == text
    )


def _create(path: Path, text: bytes, *, exist_ok: bool = True) -> None:
    """Whole, or not at all."""
    if exist_ok and path.exists():
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _not_written(where: Path, error: OSError) -> Trouble:
    return Trouble(
        f"The report could not be written to {where}: {error.strerror}",
        "Nothing else was touched",
        "Free some space, or print it: opsconsole report … --output -",
    )
