"""The blast host on the command line: its facts, its cron table, and trusting its key."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from opsconsole.commands.common import (
    FINE,
    UNREACHED,
    USAGE,
    Session,
    ask_twice,
    guarded,
    json_option,
    say,
    say_json,
    stop,
)
from opsconsole.hostfacts import HostFacts
from opsconsole.ports import Refused, Trouble
from opsconsole.settings import BlastHost

if TYPE_CHECKING:
    from opsconsole.cronview import CronTable


@click.group()
def host() -> None:
    """Clock, disk, memory, processes and cron table of a blast host."""


@host.command("show")
@click.argument("name", default="")
@json_option
@click.pass_obj
@guarded
def show(session: Session, name: str, as_json: bool) -> None:
    """What the host NAME (the first by default) says of itself."""
    with session.console() as console:
        chosen = _chosen(console.host_names(), name)
        facts, connection = console.host_facts(chosen), console.connection(chosen)
        if facts is None:
            state = next(s for s in console.board().sources if s.name == chosen)
            say(state.trouble or f"{chosen} was not reached.")
            sys.exit(UNREACHED)
        try:
            program = console.runner_on(chosen)
        except Trouble:  # it answered a moment ago; what it told stands
            program = None
        facts = replace(facts, program=program)
        if as_json:
            say_json({"connection": dict(connection), **_facts_json(facts)})
        else:
            _print_facts(facts, dict(connection))
    sys.exit(FINE)


@host.command("cron")
@click.argument("name", default="")
@json_option
@click.pass_obj
@guarded
def cron(session: Session, name: str, as_json: bool) -> None:
    """The cron lines of the host, when each fires, and which files cron ignores as a whole."""
    from opsconsole.cronview import cron_tables, table_json

    with session.console() as console:
        chosen = _chosen(console.host_names(), name)
        facts, settings = console.host_facts(chosen), console.host_settings(chosen)
        if facts is None:
            raise Refused(f"{chosen} was not reached.")
        now = console.clock()
        tables = cron_tables(facts, settings, console.board().verdicts, now, console.local_zone)
    if as_json:
        say_json([table_json(table, now) for table in tables])
        return
    for table in tables:
        _print_table(table, now)


def _print_table(table: "CronTable", now: datetime) -> None:
    from opsconsole.cronview import say_fire

    ignored = f"cron ignores all of it: {table.ignored_because}" if table.ignored_because else "obeyed by cron"
    say(f"{table.path}  {ignored}, in {table.zone}")
    for row in table.rows:
        kind = {True: "sends", False: "rehearses", None: "may send"}[row.sends]
        via = f" (by {row.via})" if row.via else ""
        say(
            f"  {row.number:>3}  {row.words}: {kind} {', '.join(row.campaigns) or 'no campaign that is known'}{via}"
        )
        say(f"       {row.user}: {row.command}")
        if row.off:
            say(f"       {row.off}; it would fire {say_fire(row.next_at, table, row, now)}")
        elif not table.ignored_because:
            say(f"       next {say_fire(row.next_at, table, row, now)}")
            if row.last_at:
                say(f"       last {say_fire(row.last_at, table, row, now)}")
        for note in row.notes:
            say(f"     {'!' if note.alarm else '·'} {note.text}")
    for warning in table.warnings:
        say(f"  !    {warning}")


@host.command("install-runner")
@click.argument("name")
@click.option("--to", "path", default="", help="Where to, when not where the configuration says.")
@click.option("--undo", is_flag=True, help="Put the runner back that was there before.")
@click.option("--force", is_flag=True, help="Also in place of a program that is no runner of ours.")
@click.option("--reason", default="", help="Why; recorded.")
@click.option("--confirm", "typed", default="", help='Without a terminal: "<host> <version>", exactly as it asks.')
@json_option
@click.pass_obj
@guarded
def install_runner(
    session: Session, name: str, path: str, undo: bool, force: bool, reason: str, typed: str, as_json: bool
) -> None:
    """Put this console's runner on the host NAME as one file; what was there is kept beside it. Asks twice."""
    if path and (not path.startswith("/") or path.endswith("/") or not path.isprintable()):
        stop(f"--to takes the full path of the file, not {path!r}. Nothing was done.", USAGE)
    with session.console() as console:
        chosen = _chosen(console.host_names(), name)
        if not typed:
            asked = console.confirm_runner(chosen, path, undo=undo, force=force)
            typed = ask_twice(console, "", asked)
        done = console.install_runner(chosen, path, typed, reason, undo=undo, force=force)
    after, before = done.after, done.before
    if as_json:
        digests = {"before": before.sha256, "after": after.sha256, "version": after.version}
        say_json({"host": chosen, "path": after.path, "undo": undo, **digests, "copy": done.copy})
        return
    say(f"{after.path} on {chosen}: {after.say()}. It was read again there: SHA-256 {after.sha256[:12]}.")
    if done.copy:
        say(f"What was there is kept: {done.copy}")
        to = f" --to {path}" if path else ""
        say(f"To undo: opsconsole host install-runner {chosen}{to} --undo")


@host.command("build-runner")
@click.argument("file", type=click.Path(dir_okay=False, writable=True))
@guarded
def build_runner(file: str) -> None:
    """Write the runner as one FILE, to be copied to a host by hand. Reaches no host."""
    from pathlib import Path

    from backends.blasthost.runnerfile import runner_file

    made = runner_file()
    try:
        Path(file).write_bytes(made.content)
        Path(file).chmod(0o755)
    except OSError as error:
        stop(f"{file} can't be written: {error.strerror}.", USAGE)
    say(f"{file}: version {made.version}, {len(made.content):,} bytes, SHA-256 {made.sha256}")


@host.command("trust")
@click.argument("name")
@click.argument("fingerprint")
@click.pass_obj
@guarded
def trust(session: Session, name: str, fingerprint: str) -> None:
    """Accept the host key of NAME, if it really has this FINGERPRINT (SHA256:…), read over another way."""
    from backends.blasthost.trusting import trust_host
    from opsconsole.wiring import known_hosts_path

    loaded = session.loaded()
    hosts = loaded.environment.blasthost
    chosen = _chosen(tuple(hosts), _table_of(name, hosts))
    loaded.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    where = trust_host(hosts[chosen], fingerprint, known_hosts_path(loaded))
    say(f"The key {fingerprint} of {where} is trusted from now on.")


@host.command("accept")
@click.argument("name")
@click.option("--reason", required=True, help="What happened to it, and how its records were compared; recorded.")
@click.pass_obj
@guarded
def accept(session: Session, name: str, reason: str) -> None:
    """Send on NAME again, after it lost or changed its records: take it as it is. Its old anchors stay there."""
    with session.console() as console:
        record = console.accept_host(_chosen(console.host_names(), name), reason)
    say(f"{name} is accepted as it is, by record {record.seq}.")


def _table_of(name: str, hosts: Mapping[str, BlastHost]) -> str:
    """A refused key is told with the name that ssh knows the host by, which may differ from its table's."""
    from backends.blasthost.target import target_of

    if name in hosts:
        return name
    return next((table for table, settings in hosts.items() if target_of(settings)[0].key_name[0] == name), name)


def _chosen(names: tuple[str, ...], name: str) -> str:
    if not names:
        raise Refused(
            "No blast host is configured.", "", "What other systems tell of themselves: opsconsole doctor."
        )
    if name and name not in names:
        raise Refused(
            f"There is no blast host {name!r}.", "", f"Known are {', '.join(names)}; of other systems ask doctor."
        )
    return name or names[0]


def _facts_json(facts: HostFacts) -> dict[str, Any]:
    values = asdict(facts)
    for unsaid in ("campaigns", "scripts"):
        values.pop(unsaid)
    values["cron"] = [{"path": c["file"]["path"], "kind": str(c["file"]["kind"])} for c in values["cron"]]
    return values


def _print_facts(facts: HostFacts, connection: dict[str, Any]) -> None:
    say(f"{facts.host}  {connection.get('identity', '')}  {connection.get('state', '')}")
    say(f"  key      {connection.get('fingerprint', '')}")
    say(f"  clock    {facts.clock_offset:+.1f} s ± {facts.clock_error:.2f} s, zone {facts.zone or 'unknown'}")
    gib = 1024**3
    free, total = facts.memory_available / gib, facts.memory_total / gib
    say(f"  memory   {free:.1f} of {total:.1f} GiB free, load {facts.load:.2f}")
    for disk in facts.disks:
        say(f"  disk     {disk.path}: {disk.free / gib:.1f} of {disk.total / gib:.1f} GiB free")
    if facts.mail_queue is not None:
        say(f"  queue    {facts.mail_queue:,} messages")
    for process in facts.processes:
        say(f"  process  {process.pid} {process.user} {process.args}")
    if facts.credentials:
        c = facts.credentials
        seen = "there is none" if c.kind == "missing" else f"{c.kind}, mode {c.mode:04o}, owner {c.owner}"
        say(f"  secrets  {c.path}: {seen} (content never read)")
    if facts.program:
        say(f"  runner   {facts.program.path}: {facts.program.say()}")
    for hold in facts.holds:
        say(f"  hold     {hold.scope}: {'unreadable, counts as held' if hold.unreadable else hold.text}")
    for name in facts.foreign:
        say(f"  foreign  {name}")
    for trouble in (*facts.troubles, facts.survives_logout):
        if trouble:
            say(f"  !        {trouble}")
