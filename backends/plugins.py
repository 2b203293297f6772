"""Backends of other packages, found by their entry points. docs/backends.md says how to write one."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opsconsole.ports import Refused, Source, Surroundings
from opsconsole.settings import Backend

GROUP = "opsconsole.backends"


def kinds() -> dict[str, EntryPoint]:
    """Every kind of backend that an installed package offers, by its name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def made(name: str, settings: Backend, around: Surroundings) -> Source:
    """The backend of this table. Raises Refused, in words, when it can't be had."""
    known = kinds()
    point = known.get(settings.kind)
    if point is None:
        there = f"installed are {', '.join(sorted(known))}" if known else "no package here offers any"
        raise Refused(
            f"No backend of the kind {settings.kind!r} is installed: {there}",
            f"{name} can't be looked at",
            "Install the package that brings it, into the environment that opsconsole runs in",
        )
    try:
        make: Any = point.load()
        backend = make(name, dict(settings.options), around)
    except Refused:
        raise
    except ImportError as error:
        raise Refused(
            f"The backend {settings.kind!r} can't be imported: {error}",
            f"{name} can't be looked at",
            f"Install what {point.value.partition(':')[0]} needs",
        ) from error
    except Exception as error:  # a stranger's code: its fault must not take the console along
        raise Refused(
            f"The backend {settings.kind!r} could not be made: {type(error).__name__}: {error}",
            f"{name} can't be looked at",
            "Look at its options in the configuration, or tell its author",
        ) from error
    if not isinstance(backend, Source) or backend.name != name:
        raise Refused(
            f"The entry point {settings.kind!r} ({point.value}) gave no backend named {name!r}",
            f"{name} can't be looked at",
            "It must return an object with `name` as given, `observe()` and `close()`; see docs/backends.md",
        )
    return backend
