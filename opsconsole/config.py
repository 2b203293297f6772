"""The configuration file: found, read, checked key by key, with errors that name file, line and the likely word."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from opsconsole import mapping
from opsconsole.policy import Policy
from opsconsole.schedule import ScheduleError, load_zone
from opsconsole.settings import DeadMan, Environment, Limits, Notify, Settings

EXAMPLE = """\
# opsconsole configuration. Every key: `opsconsole config keys`. Check it with `opsconsole doctor`.

[operator]
role = "operator"                     # viewer, operator, approver or admin

[environments.prod]
label = "PROD"

[environments.prod.blasthost.blast-mail-prod]
ssh = "blast-mail-prod"               # a host of ~/.ssh/config, or user@host:port

# [environments.prod.dashboard]
# url = "https://dashboard.example.com"
# token = { env = "OPSCONSOLE_DASHBOARD_TOKEN" }

# [environments.prod.listmonk.lists]    # a listmonk platform: docs/listmonk.md
# url = "https://lists.example.com"
# user = "opsconsole"
# token = { env = "OPSCONSOLE_LISTMONK_TOKEN" }

# [environments.prod.serverless.bulk]   # DynamoDB, SQS and SES, with opsconsole[aws]: docs/serverless.md
# region = "eu-central-1"
# profile = "opsconsole"

# [environments.prod.backend.other]     # a backend of another package: docs/backends.md
# kind = "the-name-it-goes-by"
"""


class ConfigError(Exception):
    """A configuration that can't be used. Each problem names its file and, where it can, its line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that passed every check. `environment` is the one that was asked for."""

    settings: Settings
    path: Path
    name: str
    environment: Environment
    policy: Policy
    data_dir: Path


def default_path() -> Path:
    """`$OPSCONSOLE_CONFIG`, else config.toml in the user's configuration directory."""
    if named := os.environ.get("OPSCONSOLE_CONFIG"):
        return Path(named)
    import platformdirs

    return platformdirs.user_config_path("opsconsole") / "config.toml"


def load(path: Path | None = None, environment: str = "") -> Loaded:
    """Read and check the file. Raises ConfigError with every problem found, not just the first."""
    path = path or default_path()
    settings = read(path)
    name = environment or settings.environment or _only(settings, path)
    if name not in settings.environments:
        raise ConfigError([f"{path}: there is no environment {name!r}{_meant(name, settings.environments)}"])
    chosen = settings.environments[name]
    return Loaded(settings, path, name, chosen, policy(chosen.policy), data_dir(settings))


def read(path: Path) -> Settings:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            [
                f"There is no configuration at {path}. "
                "Write one with `opsconsole config init`, or look around with `opsconsole demo`."
            ]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path} can't be read: {error}. Make it a UTF-8 file that you may read."]) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Settings:
    """The settings in a TOML text. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: this is not TOML: {error}."]) from error
    except RecursionError:
        raise ConfigError([f"{file}: this is nested too deeply to be a configuration."]) from None
    problems = [f"{file}:{_line(text, place)}: {problem}" for place, problem in _problems(document, Settings, ())]
    if not problems:
        try:
            settings = msgspec.convert(document, Settings)
        except msgspec.ValidationError as error:
            raise ConfigError([f"{file}: {error}"]) from error
        problems = [f"{file}:{_line(text, place)}: {problem}" for place, problem in _meaning(settings)]
        if not problems:
            return settings
    raise ConfigError(problems)


def policy(limits: Limits) -> Policy:
    return Policy(
        start_grace=duration(limits.start_grace),
        latest_start_after=duration(limits.latest_start_after),
        early_tolerance=duration(limits.early_tolerance),
        stall_after=duration(limits.stall_after),
        max_run=duration(limits.max_run),
        unreconciled_after=duration(limits.unreconciled_after),
        dry_run_valid_for=duration(limits.dry_run_valid_for),
        plan_valid_for=duration(limits.plan_valid_for),
        clock_warn=limits.clock_warn,
        clock_refuse=limits.clock_refuse,
        min_free_disk_mb=limits.min_free_disk_mb,
        min_free_memory_mb=limits.min_free_memory_mb,
        four_eyes=limits.four_eyes,
        approval_valid_for=duration(limits.approval_valid_for),
        break_glass_valid_for=duration(limits.break_glass_valid_for),
        unanchored_for=duration(limits.unanchored_for),
        key_max_age=duration(limits.key_max_age),
    )


_UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> timedelta:
    """`45 s`, `30 min`, `2 h` or `1 d`. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a span of time. Write it as 45 s, 30 min, 2 h or 1 d.")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is longer than any calendar.") from None


def data_dir(settings: Settings) -> Path:
    """Where the audit store and the last known state live."""
    if settings.data_dir:
        return Path(settings.data_dir).expanduser()
    import platformdirs

    return platformdirs.user_data_path("opsconsole")


def _only(settings: Settings, path: Path) -> str:
    if len(settings.environments) == 1:
        return next(iter(settings.environments))
    if not settings.environments:
        raise ConfigError([f"{path} has no environment: add a table [environments.prod]."])
    names = ", ".join(settings.environments)
    raise ConfigError([f"{path} has several environments ({names}): choose one with --env."])


Place = tuple[str, ...]


def _problems(document: Mapping[str, Any], shape: type, place: Place) -> Iterator[tuple[Place, str]]:
    """Every unknown key and every value of the wrong kind, each with where it stands."""
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    for key, value in document.items():
        here = (*place, key)
        if key not in fields:
            yield here, f"unknown key {dotted(here)!r}{_meant(key, fields)}"
            continue
        yield from _problems_of(value, fields[key].type, here)
    for name, field in fields.items():
        if field.required and name not in document:
            yield place, f"{dotted(place)} needs the key {name!r}"


def _problems_of(value: Any, kind: Any, here: Place) -> Iterator[tuple[Place, str]]:
    shape = next(
        (t for t in (kind, *get_args(kind)) if isinstance(t, type) and issubclass(t, msgspec.Struct)), None
    )
    if get_origin(kind) is dict and shape is not None:
        if not isinstance(value, Mapping):
            yield here, f"{dotted(here)} must be a table"
            return
        for name, item in value.items():
            yield from _problems_of(item, shape, (*here, name))
    elif shape is not None:
        if isinstance(value, Mapping):
            yield from _problems(value, shape, here)
        else:
            yield here, f"{dotted(here)} must be a table"
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            yield here, f"{dotted(here)}: {_plainly(str(error), kind)}"


def _plainly(error: str, kind: Any) -> str:
    choices = [str(choice) for choice in get_args(kind) if isinstance(choice, str)]
    if choices:
        return f"must be one of {', '.join(choices)}"
    return error.split(" - at ")[0][0].lower() + error.split(" - at ")[0][1:]


def _meaning(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Values of the right kind that still make no sense."""
    from opsconsole.configured import systems

    if settings.operator.timezone:
        try:
            load_zone(settings.operator.timezone)
        except ScheduleError as error:
            yield ("operator", "timezone"), str(error)
    yield from span(settings.audit, "outbox_kept_for", ("audit",))
    if settings.views:
        from opsconsole import views

        for name, problem in views.problems(settings.views):
            yield ("views", name), f"views.{name}: {problem}"
    if settings.audit.url and not settings.audit.url.startswith(("postgresql://", "sqlite:////")):
        yield ("audit", "url"), "audit.url must begin with postgresql:// (or sqlite://// and an absolute path)"
    for name, environment in settings.environments.items():
        place = ("environments", name)
        for limit in msgspec.structs.fields(Limits):
            yield from span(environment.policy, limit.name, (*place, "policy"))
        for host, table in environment.blasthost.items():
            here = (*place, "blasthost", host)
            for key in ("fresh_for", "refresh_every"):
                yield from span(table, key, here)
            for pattern in msgspec.structs.fields(type(table.patterns)):
                try:
                    re.compile(getattr(table.patterns, pattern.name))
                except re.error as error:
                    yield (
                        (*here, "patterns", pattern.name),
                        f"patterns.{pattern.name} is no regular expression: {error}",
                    )
        yield from systems(environment, place)
        for told, notify in environment.notify.items():
            yield from _notify(told, notify, (*place, "notify", told))
        if environment.dead_man is not None:
            yield from _dead_man(environment.dead_man, environment.notify, (*place, "dead_man"))
        if environment.dashboard is not None:
            there = (*place, "dashboard")
            for key in ("fresh_for", "refresh_every", "timeout"):
                yield from span(environment.dashboard, key, there)
            if not environment.dashboard.url.startswith(("http://", "https://")):
                yield (*there, "url"), "dashboard.url must begin with https:// or http://"
            if _seconds(environment.dashboard.timeout) > LONGEST_TIMEOUT_S:
                says = f"dashboard.timeout can't be over {LONGEST_TIMEOUT_S} s, or others try a write meanwhile"
                yield (*there, "timeout"), says
            for under, problem in mapping.problems(environment.dashboard):
                yield (*there, *under), f"{dotted((*there, *under))}: {problem}"


LONGEST_TIMEOUT_S = 15  # three calls a write, within the outbox's minute


def _seconds(text: str) -> float:
    """0 for what is no span of time: that is told elsewhere."""
    try:
        return duration(text).total_seconds()
    except ValueError:
        return 0.0


NEEDED = {
    "webhook": ("url",),
    "slack": ("url",),
    "email": ("host", "sender", "to"),
    "pagerduty": ("routing_key",),
    "alertmanager": ("endpoint",),
}


def _notify(name: str, table: Notify, place: Place) -> Iterator[tuple[Place, str]]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        yield place, f"{name!r} can't name a notification: use a-z, 0-9, dot, dash"
    for key in NEEDED[table.kind]:
        if not getattr(table, key):
            yield place, f"{dotted(place)}: kind {table.kind!r} needs the key {key!r}"
    for key in ("endpoint", "link"):
        if (value := getattr(table, key)) and not value.startswith(("http://", "https://")):
            yield (*place, key), f"{dotted((*place, key))} must begin with https:// or http://"
    yield from span(table, "timeout", place)


def _dead_man(table: DeadMan, notify: Mapping[str, Notify], place: Place) -> Iterator[tuple[Place, str]]:
    if bool(table.url) == bool(table.alertmanager):
        yield place, f"{dotted(place)} needs exactly one of the keys 'url' and 'alertmanager'"
    elif table.alertmanager and getattr(notify.get(table.alertmanager), "kind", "") != "alertmanager":
        here = (*place, "alertmanager")
        yield here, f"{dotted(here)}: no notification of kind 'alertmanager' is named {table.alertmanager!r}"
    for key in ("every", "blind_after"):
        yield from span(table, key, place)


def span(table: msgspec.Struct, key: str, place: Place) -> Iterator[tuple[Place, str]]:
    """A problem where the value is no span of time."""
    value = getattr(table, key)
    if isinstance(value, str):
        try:
            duration(value)
        except ValueError as error:
            yield (*place, key), f"{dotted((*place, key))}: {error}"


def _meant(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(sorted(known))}." if known else "."


def dotted(place: Place) -> str:
    """Where a key stands, as people write it."""
    return ".".join(place) or "the file"


def _line(text: str, place: Place) -> int:
    """The line on which the key at `place` stands, else its table's, else 1."""
    table: Place = ()
    best = 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\]]+)\]\]?", line):
            table = _keys(header[1])
            if table == place[: len(table)]:
                best = number
            if table == place:
                return number
        elif key := re.match(r"\s*([A-Za-z0-9_\-.\"']+)\s*=", line):
            full = (*table, *_keys(key[1]))
            if full == place[: len(full)]:
                best = number
            if full == place:
                return number
    return best


def _keys(text: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
