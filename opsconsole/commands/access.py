"""Who and what may act on each system, on the command line; never a secret's content."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime

import click

from opsconsole.access import SystemAccess, say_rest
from opsconsole.commands.common import ATTENTION, FINE, UNREACHED, Session, guarded, json_option, say, say_json


@click.command()
@json_option
@click.pass_obj
@guarded
def access(session: Session, as_json: bool) -> None:
    """Which keys, roles, files and credentials there are on host and dashboard, troubles first.

    Leaves with 4 when a system can't be asked, 1 when something is wrong with one, else 0.
    """
    with session.console(look=False) as console:
        names = console.access_names()
        with ThreadPoolExecutor(max_workers=max(len(names), 1)) as askers:
            systems = list(askers.map(console.access, names))
        now = console.clock()
    if as_json:
        say_json([asdict(system) for system in systems])
    else:
        for system in systems:
            _print(system, now)
    if any(system.trouble for system in systems):
        sys.exit(UNREACHED)
    sys.exit(ATTENTION if any(system.wrong for system in systems) else FINE)


def _print(system: SystemAccess, now: datetime) -> None:
    say(f"{system.name}  {system.trouble or system.summary}")
    for heading, entries in system.sections():
        say(f"  {heading}")
        for entry in entries:
            say(f"    {entry.name:<24} {say_rest(entry, now)}")
            if entry.trouble:
                say(f"    ! {entry.trouble}")
