"""The runner as one file: a zip that python3 runs, with all it needs but python3 itself. Reaches no network.

The same input gives the same bytes, so two files can be compared by their digests.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

import runner
from opsconsole.ports import Refused

PYTHON = (3, 11)
"""The oldest python3 that runs it."""
BUNDLED = (
    *("aiosmtplib", "email-validator", "idna", "jinja2", "markupsafe", "tzdata"),
    *("anyio", "certifi", "h11", "httpcore", "httpx", "typing_extensions"),  # for text messages
)
"""Distributions that go in, as far as they are Python. dnspython doesn't: nobody asks DNS about an address."""
_SHEBANG = b"#!/usr/bin/env python3\n"
_MARK = b"mail-blast-runner of opsconsole "  # the zip's comment, so a file is known without being run
_WHEN = (1980, 1, 1, 0, 0, 0)  # the oldest a zip can tell
_NEVER_READ = {".so", ".pyd", ".c", ".pyi", ".typed", ".pyc", ".zi", ".tab", ".list"}
_NEVER_READ |= {".pem"}  # whom to trust is the host's to say
_LICENCES = ("LICEN", "COPYING", "NOTICE")


@dataclass(frozen=True, slots=True)
class RunnerFile:
    """The bytes of the file, their SHA-256, and the version it tells."""

    content: bytes
    sha256: str
    version: str


@cache
def runner_file() -> RunnerFile:
    """The file that this console installs. Raises Refused where what goes in isn't installed whole."""
    content = packed(_contents(), runner.__version__)
    return RunnerFile(content, hashlib.sha256(content).hexdigest(), runner.__version__)


def packed(contents: Mapping[str, bytes], version: str) -> bytes:
    """These files, by name, as one that python3 runs."""
    made = io.BytesIO(_SHEBANG)
    made.seek(0, io.SEEK_END)
    with zipfile.ZipFile(made, "a") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, content, compresslevel=6)
        archive.comment = _MARK + version.encode()
    return made.getvalue()


def version_in(end: bytes) -> str | None:
    """The version by the last bytes of a file; None when it isn't such a file."""
    _, found, version = end.rpartition(_MARK)
    return version.decode("ascii", "replace")[:40] if found else None


def _contents() -> dict[str, bytes]:
    """Every file by its name in the zip."""
    root = Path(runner.__file__).parent
    found = {path.relative_to(root.parent).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
    found["__main__.py"] = found.pop("runner/onefile.py")
    found |= _licences("opsconsole", f"mail-blast-runner-{runner.__version__}")
    for name in BUNDLED:
        found |= {path.as_posix(): path.read_binary() for path in _files(name) if _is_read(path)}
        found |= _licences(name, f"{name}-{metadata.version(name)}")
    return found


def _licences(name: str, folder: str) -> dict[str, bytes]:
    return {f"licences/{folder}/{_below(path)}": path.read_binary() for path in _files(name) if _is_licence(path)}


def _is_read(path: PurePosixPath) -> bool:
    """Whether a running runner may read it."""
    apart = path.parts[0].endswith(".dist-info") or {"__pycache__", "..", "tests"} & set(path.parts[:-1])
    return not apart and path.suffix not in _NEVER_READ and path.name != "leapseconds"


def _is_licence(path: PurePosixPath) -> bool:
    return path.parts[0].endswith(".dist-info") and path.name.upper().startswith(_LICENCES)


def _below(path: PurePosixPath) -> str:
    """A licence's name within its distribution's folder, or within `licenses` in it."""
    parts = path.parts[1:]
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] == "licenses" else parts)


def _files(name: str) -> list[metadata.PackagePath]:
    try:
        files = metadata.distribution(name).files
    except metadata.PackageNotFoundError:
        files = None
    if not files:
        raise Refused(
            f"The runner's file can't be made: {name} isn't installed here with a list of its files.",
            "Nothing was changed.",
            "Install the console with pip, in an environment of its own.",
        )
    return files
