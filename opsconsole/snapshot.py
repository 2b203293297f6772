"""The last known state, kept beside the audit store so that the board paints before any source has answered."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from opsconsole.observation import Report
from opsconsole.redact import DEFAULT

VERSION = 1


class _Saved(msgspec.Struct):
    version: int
    reports: list[Report]


def save(path: Path, reports: Iterable[Report]) -> None:
    """Write whole or not at all, for this user's eyes only. A full disk costs the snapshot, nothing else."""
    save_encoded(path, map(encoded, reports))


def encoded(report: Report) -> bytes:
    """A report as it is saved. Takes a while for thousands of campaigns, so do it once a report.

    Secrets are taken out: a campaign's metadata may hold some, and nobody thinks of this file when one is changed.
    """
    return msgspec.json.encode(DEFAULT.clean(msgspec.to_builtins(report, enc_hook=_plain), mask=False))


def save_encoded(path: Path, reports: Iterable[bytes]) -> None:
    write_whole(path, b'{"version":%d,"reports":[%s]}' % (VERSION, b",".join(reports)))


def write_whole(path: Path, data: bytes) -> None:
    """Whole or not at all, for this user's eyes only. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path) -> tuple[Report, ...]:
    """The saved reports; none when there are none, or they are damaged or of another version."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
    except (OSError, msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return ()
    return tuple(saved.reports) if saved.version == VERSION else ()


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(type(value).__name__)
