"""Which edition of the time zone data this process reads: an instant worked out by another may be another."""

import zoneinfo
from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def tzdata_version() -> str:
    """Such as `2025b`; "" when the data doesn't say. The system's data is asked before the package's, as zoneinfo
    does."""
    for folder in zoneinfo.TZPATH:
        for name in ("tzdata.zi", "+VERSION"):
            try:
                with (Path(folder) / name).open(encoding="utf-8") as file:
                    first = file.readline(80)
            except (OSError, ValueError):
                continue
            if version := first.removeprefix("# version ").strip():
                return version
    try:
        return str(import_module("tzdata").IANA_VERSION)
    except (ImportError, AttributeError):
        return ""
