"""Saved views: queries with a name, from the configuration and from the operator's own file beside the store."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

NAME = re.compile(r"\w(?:[\w.\- ]{0,22}[\w.\-])?")
LARGEST = 256 * 1024  # bytes of a file that is read
VERSION = 1
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class ViewError(ValueError):
    """A view that can't be saved or found; the text says what to do."""


@dataclass(frozen=True, slots=True)
class View:
    """A query with a name. `own` ones were saved by the operator and can be forgotten."""

    name: str
    query: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Views:
    """The configuration's first, then the operator's own; `trouble` says why some of those may be missing."""

    views: tuple[View, ...] = ()
    trouble: str = ""

    def get(self, name: str) -> View:
        """The view of that name. Raises ViewError."""
        for view in self.views:
            if view.name.casefold() == name.casefold():
                return view
        raise ViewError(f"There is no view {name!r}.{_known(name, self.views)} {self.trouble}".rstrip())


class _Saved(msgspec.Struct):
    version: int
    views: dict[str, str]


def problems(configured: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The configured views that can't be used, each by name with why."""
    from opsconsole.filters import FilterError, parse

    for name, query in configured.items():
        try:
            check_name(name)
            parse(query, "", _ANY_TIME)  # whether it can be read doesn't depend on when
        except (ViewError, FilterError) as error:
            yield name, str(error)


def views_path(data_dir: Path) -> Path:
    return data_dir / "views.json"


def load(configured: Mapping[str, str], path: Path) -> Views:
    """All views. A damaged file costs its own views, and is told; it is never written over."""
    views = [View(name, query) for name, query in configured.items()]
    taken = {name.casefold() for name in configured}
    try:
        saved = _read(path)
    except ViewError as error:
        return Views(tuple(views), str(error))
    own = (View(name, query, own=True) for name, query in saved.items() if name.casefold() not in taken)
    return Views((*views, *own))


def check_name(name: str) -> str:
    """`name` itself when it can name a view. Raises ViewError."""
    if NAME.fullmatch(name):
        return name
    raise ViewError(
        f"{name[:40]!r} can't name a view: use 1 to 24 letters, digits, blanks, dots, dashes and underscores."
    )


def save(configured: Mapping[str, str], path: Path, name: str, query: str) -> Views:
    """Keep `query` under `name`, in place of an own view of that name; all views afterwards. Raises ViewError."""
    check_name(name)
    if name.casefold() in {known.casefold() for known in configured}:
        raise ViewError(f"The view {name!r} stands in the configuration: change it there, or choose another name.")
    saved = {known: old for known, old in _read(path).items() if known.casefold() != name.casefold()}
    _write(path, {**saved, name: query})
    return load(configured, path)


def forget(configured: Mapping[str, str], path: Path, name: str) -> Views:
    """Take an own view away; all views afterwards. Raises ViewError."""
    view = load(configured, path).get(name)
    if not view.own:
        raise ViewError(f"The view {view.name!r} stands in the configuration: take it out there.")
    _write(path, {known: query for known, query in _read(path).items() if known != view.name})
    return load(configured, path)


def _read(path: Path) -> dict[str, str]:
    """The operator's own views; none when there is no file. Raises ViewError for one that can't be used."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"it has more than {LARGEST // 1024} KiB")
        saved = msgspec.json.decode(data, type=_Saved)
        if saved.version != VERSION:
            raise ValueError(f"its version {saved.version} isn't known here")
        for name in saved.views:
            check_name(name)
        return saved.views
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = (error.strerror or "error").lower() if isinstance(error, OSError) else str(error)
        raise ViewError(
            f"Your saved views can't be read: {path}: {why}. Mend that file, or move it away."
        ) from error


def _write(path: Path, views: Mapping[str, str]) -> None:
    """Whole or not at all, for this user's eyes only. Raises ViewError."""
    data = msgspec.json.format(msgspec.json.encode(_Saved(VERSION, dict(views))), indent=2)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        why = (error.strerror or "error").lower()
        raise ViewError(f"The view was not saved: {path}: {why}.") from error


def _known(name: str, views: tuple[View, ...]) -> str:
    import difflib

    names = [view.name for view in views]
    if close := difflib.get_close_matches(name, names, n=1):
        return f" Did you mean {close[0]!r}?"
    return f" There are {', '.join(names)}." if names else " None is saved."
