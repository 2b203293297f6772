"""Getting started and checking the ground: doctor, config, demo, completion."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsconsole.commands.common import ATTENTION, FINE, Session, guarded, json_option, say, say_json
from opsconsole.commands.opening import need_terminal, run_screens
from opsconsole.config import EXAMPLE, default_path

if TYPE_CHECKING:
    from opsconsole.hostfacts import RunnerFact
    from opsconsole.ports import Inspected, Tried

ROOM_MB = 20  # free space at the audit store below which doctor warns


@click.command()
@json_option
@click.pass_obj
@guarded
def doctor(session: Session, as_json: bool) -> None:
    """Check configuration, audit store, and every source; says how to mend what isn't right."""
    import sqlite3

    from opsconsole import __version__
    from opsconsole.commands.watch import notify_lines
    from opsconsole.errors import AuditUnavailable
    from opsconsole.ports import Trouble

    loaded = session.loaded()
    lines: list[dict[str, Any]] = [
        {"what": "opsconsole", "ok": True, "says": f"{__version__}, Python {sys.version.split()[0]}"},
        {"what": "configuration", "ok": True, "says": f"{loaded.path}, environment {loaded.name}"},
    ]
    with session.console() as console:
        try:
            store = console.store()
            result = store.verify()
            says = (
                f"{result.checked:,} records, every seal holds"
                if result.clean
                else result.why
                if result.ok
                else f"record {result.first_bad_seq}: {result.why}"
            )
            lines.append({"what": "audit store", "ok": result.clean, "says": f"{store.place}: {says}"})
            if console.witness is not None:  # a store that was put back verifies by itself; the hosts know better
                against = [c.text for one in console.witness.check() for c in one.found if str(c.kind) == "store"]
                lines += [{"what": "audit store", "ok": False, "says": text} for text in against]
            kept, says = store.reserve_state()
            lines.append({"what": "reserve", "ok": kept, "says": says})
            for record in store.unresolved():
                says = f"record {record.seq} ({record.action} {record.campaign}) has no outcome: look at it"
                lines.append({"what": "open intent", "ok": False, "says": says})
        except AuditUnavailable as error:
            lines.append({"what": "audit store", "ok": False, "says": str(error)})
        lines.append(_room(loaded.data_dir))
        lines.append({"what": "sqlite", "ok": True, "says": sqlite3.sqlite_version})
        for source in console.board().sources:
            latency = f"{source.latency_ms:.0f} ms" if source.latency_ms is not None else "answers"
            lines.append({"what": source.name, "ok": source.fresh, "says": source.trouble or latency})
            lines += [{"what": source.name, "ok": False, "says": finding} for finding in source.findings]
        for name, mapped in console.mapped().items():
            with suppress(Trouble):  # out of reach: its own line says so
                lines += _mapping(name, mapped.try_mapping())
        for name, system in console.inspected().items():
            lines += _told(name, system, any(one["what"] == name and not one["ok"] for one in lines))
        for name in console.host_names():
            facts = console.host_facts(name)
            if facts and facts.survives_logout:
                lines.append({"what": name, "ok": False, "says": facts.survives_logout})
            with suppress(Trouble):  # out of reach: its own line says so
                if facts and (program := console.runner_on(name)):
                    ours = console.host_settings(name).runner_kind == "mail-blast-runner"
                    lines.append(_runner(name, program, ours))
        lines += notify_lines(console, loaded)
    if as_json:
        say_json(lines)
    for line in lines if not as_json else ():
        glyph = "!" if line.get("warn") else "✓" if line["ok"] else "✖"
        say(f"{glyph} {line['what']:<16} {line['says']}")
    sys.exit(FINE if all(line["ok"] for line in lines) else ATTENTION)


def _told(name: str, system: "Inspected", known: bool) -> list[dict[str, Any]]:
    """What a system tells of itself. `known`: that it is in trouble is told already."""
    from opsconsole.ports import Trouble

    try:
        return [{"what": name, "ok": told.ok, "warn": told.warn, "says": told.says} for told in system.inspect()]
    except Trouble as error:
        return [] if known else [{"what": name, "ok": False, "says": str(error)}]


def _runner(name: str, program: "RunnerFact", ours: bool) -> dict[str, Any]:
    """Whether what sends there is what the configuration says; a version that differs is for somebody to know."""
    well = program.there in ("file", "link") and (bool(program.says) or not ours)
    says = f"{program.path}: {program.say()}"
    if ours and (not well or program.version != program.our_version):
        says += f". To install this console's: opsconsole host install-runner {name}"
    return {
        "what": name,
        "ok": well,
        "warn": well and ours and program.version != program.our_version,
        "says": says,
    }


def _mapping(name: str, tried: "tuple[Tried, ...]") -> list[dict[str, Any]]:
    """One line for each list of the source, and one for each field that is never found or can't be used."""
    lines: list[dict[str, Any]] = []
    for table in dict.fromkeys(one.table for one in tried):
        fields = [one for one in tried if one.table == table]
        found = ", ".join(f"{one.field} {one.found}" for one in fields)
        says = f"mapping of {table}, {fields[0].rows} rows looked at: {found}"
        lines.append({"what": name, "ok": True, "says": says, "fields": {one.field: one.found for one in fields}})
        for one in fields:
            if one.trouble:
                says = f"{table}.{one.field} ({one.expression}): {one.trouble}"
                needed = one.field in ("slug", "token", "status")
                lines.append({"what": name, "ok": not needed, "warn": not needed, "says": says})
    return lines


def _room(folder: Path) -> dict[str, Any]:
    """Whether records and logs still fit: a store that verifies can still be one that takes no more."""
    import shutil

    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError as error:
        return {"what": "disk", "ok": False, "says": f"{folder} can't be looked at: {error.strerror}"}
    says = f"{free:,} MB free at {folder}"
    if free < ROOM_MB:
        return {"what": "disk", "ok": False, "says": f"{says}: free some; without a record nothing can be done"}
    return {"what": "disk", "ok": True, "says": says}


@click.group()
def config() -> None:
    """The configuration file: where it is, what it may hold, a first one."""


@config.command("path")
@click.pass_obj
def path(session: Session) -> None:
    """Where the configuration is looked for."""
    click.echo(session.config_path or default_path())


@config.command("init")
@click.pass_obj
@guarded
def init(session: Session) -> None:
    """Write a first configuration with comments, if there is none."""
    from opsconsole.ports import Refused

    file: Path = session.config_path or default_path()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{file} exists.", "It was not touched.", "Edit it, or name another with --config.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(EXAMPLE)
    say(f"Written to {file}. Edit it, then run `opsconsole doctor`.")


@config.command("check")
@click.pass_obj
@guarded
def check(session: Session) -> None:
    """Read the configuration and say whether it can be used; reaches nothing."""
    loaded = session.loaded()
    from opsconsole.configured import KINDS

    there = [(kind, ", ".join(getattr(loaded.environment, kind))) for kind in KINDS]
    named = [f"{kind} {names}" for kind, names in there if names] or ["no system that carries campaigns"]
    named += ["dashboard"] if loaded.environment.dashboard else []
    say(f"{loaded.path}: environment {loaded.name}: {'; '.join(named)}.")


@config.command("keys")
def keys() -> None:
    """Every key the configuration may hold, with its default."""
    import msgspec

    from opsconsole import settings

    tables = (
        "Settings",
        "Operator",
        "Environment",
        "Limits",
        "BlastHost",
        "Patterns",
        "Dashboard",
        "DashboardCampaigns",
        "DashboardTasks",
        "DashboardWrite",
        "DashboardAccount",
        "Listmonk",
        "Serverless",
        "Backend",
        "Notify",
        "DeadMan",
        "Screens",
        "Audit",
        "SecretFrom",
    )
    for name in tables:
        table = getattr(settings, name)
        click.echo(f"\n{name}: {(table.__doc__ or '').strip().splitlines()[0]}")
        for field in msgspec.structs.fields(table):
            required = field.required
            default = "required" if required else repr(field.default)
            if not required and field.default is msgspec.NODEFAULT:
                default = repr(field.default_factory())
            click.echo(f"  {field.name:<22} {default}")


@click.command()
@click.option("--no-screens", is_flag=True, help="Start the demo's host, dashboard and sink only; for commands.")
@click.pass_obj
@guarded
def demo(session: Session, no_screens: bool) -> None:
    """A blast host, a listmonk, a dashboard and a mail sink on this machine, and the board on them. Cleans up after
    itself."""
    from backends.embedded.world import DEMO_PACE, World
    from opsconsole.config import load

    if not no_screens:
        need_terminal()
    with World(pace=DEMO_PACE, live=True, listmonk=True) as world:
        if no_screens:
            say("The demo's host, listmonk, dashboard and mail sink are up. In another terminal:")
            say(f"  opsconsole --config {world.config_path} board")
            say("Press Ctrl+C here to end it.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
            return
        code = run_screens(load(world.config_path), session.read_only)
    sys.exit(code)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL, to be sourced from its start-up file."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"No completion for {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "opsconsole", "_OPSCONSOLE_COMPLETE").source())
