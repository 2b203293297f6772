"""The audit store on the command line: search, show, verify, export."""

import sys
from datetime import datetime
from pathlib import Path

import click

from opsconsole.commands.common import ATTENTION, FINE, Session, guarded, json_option, say, say_json
from opsconsole.ports import Refused


@click.group()
def audit() -> None:
    """Everything that was done, by whom, and whether the record is whole."""


@audit.command()
@click.argument("text", default="")
@click.option("--campaign", default=None)
@click.option("--action", default=None)
@click.option("--operator", default=None)
@click.option("--since", type=click.DateTime(), default=None, help="UTC.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@click.pass_obj
@guarded
def search(
    session: Session,
    text: str,
    campaign: str | None,
    action: str | None,
    operator: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """The newest records, those with all words of TEXT."""
    from datetime import UTC

    from opsconsole.audit.records import to_json

    with session.console(look=False) as console:
        instant = since.replace(tzinfo=UTC) if since else None
        found = console.store().search(
            text, campaign=campaign, action=action, operator=operator, since=instant, limit=limit
        )
    for record in found:
        if as_json:
            click.echo(to_json(record))
        else:
            about = f" {record.campaign}" if record.campaign else ""
            why = f": {record.reason}" if record.reason else ""
            say(
                f"{record.seq:>6} {record.utc:%Y-%m-%d %H:%M:%S}Z {record.operator:<12} "
                f"{record.action} ({record.phase}){about}{why}"
            )


@audit.command()
@click.argument("seq", type=int)
@click.pass_obj
@guarded
def show(session: Session, seq: int) -> None:
    """One record, whole."""
    import json

    from opsconsole.audit.records import to_json

    with session.console(look=False) as console:
        record = console.store().get(seq)
    if record is None:
        raise Refused(f"There is no record {seq}.")
    say_json(json.loads(to_json(record)))


@audit.command()
@json_option
@click.pass_obj
@guarded
def verify(session: Session, as_json: bool) -> None:
    """Check every record's place and seal; names the first bad one."""
    with session.console(look=False) as console:
        result = console.store().verify()
        unresolved = console.store().unresolved()
    if as_json:
        say_json(
            {
                "ok": result.ok,
                "checked": result.checked,
                "first_bad_seq": result.first_bad_seq,
                "why": result.why,
                "unresolved": [r.seq for r in unresolved],
            }
        )
    elif result.ok:
        say(f"Whole: {result.checked:,} records, every seal holds.")
    else:
        say(f"NOT WHOLE at record {result.first_bad_seq}: {result.why} Keep the file as it is; don't repair it.")
    for record in unresolved if not as_json else ():
        say(f"Open since {record.utc:%Y-%m-%d %H:%M}Z: record {record.seq}, {record.action} {record.campaign}")
    sys.exit(FINE if result.ok else ATTENTION)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
@guarded
def export(session: Session, file: Path) -> None:
    """Write all records to FILE as JSON Lines, which can be verified later."""
    import os

    if file.exists():
        raise Refused(f"{file} exists.", "Nothing was written.", "Choose another name.")
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with session.console(look=False) as console, os.fdopen(handle, "w", encoding="utf-8") as out:
        count = console.store().export(out)
    say(f"{count:,} records written to {file}.")
