"""The audit store on the command line: search, show, verify, anchors, resolve, export."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsconsole.commands.common import ATTENTION, FINE, UNREACHED, Session, guarded, json_option, say, say_json
from opsconsole.ports import NotThere, Refused

if TYPE_CHECKING:
    from opsconsole.audit.records import Record
    from opsconsole.console import Console
    from opsconsole.witness import Compared


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
    import json
    from datetime import UTC

    from opsconsole.audit.records import to_json

    with session.console(look=False) as console:
        instant = since.replace(tzinfo=UTC) if since else None
        found = console.store().search(
            text, campaign=campaign, action=action, operator=operator, since=instant, limit=limit
        )
    if as_json:
        say_json([json.loads(to_json(record)) for record in found])
        return
    for record in found:
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
        raise NotThere(f"There is no record {seq}.")
    say_json(json.loads(to_json(record)))


@audit.command()
@click.option("--offline", is_flag=True, help="Ask no host for its anchors.")
@json_option
@click.pass_obj
@guarded
def verify(session: Session, offline: bool, as_json: bool) -> None:
    """Check every record's place and seal, and the copies of the head on the hosts; names the first bad record.

    Ends with 1 when something is wrong, and with 4 when nothing is but a host couldn't be asked.
    """
    with session.console(look=False) as console:
        result = console.store().verify()
        unresolved = console.store().unresolved()
        compared = _compare(console) if not offline else ()
    off = [record for record in unresolved if record.action == "protection-off"]
    against = [c for one in compared for c in one.found]
    unreached = [one for one in compared if one.unreached]
    # The least seq of all is the first bad record, whoever tells of it.
    bad = [(result.first_bad_seq, result.why)] if not result.ok else []
    bad = sorted([*bad, *((c.seq, c.text) for c in against if c.kind == "store")], key=lambda item: item[0] or 0)
    if as_json:
        say_json(
            {
                "ok": not bad,
                "checked": result.checked,
                "first_bad_seq": bad[0][0] if bad else None,
                "why": bad[0][1] if bad else result.why,
                "regressions": list(result.regressions),
                "unresolved": [r.seq for r in unresolved],
                "anchors": [_compared_json(one) for one in compared],
            }
        )
    else:
        if bad:
            seq, why = bad[0]
            say(f"NOT WHOLE at record {seq}: {why.rstrip('.')}. Keep the file as it is; don't repair it.")
            for _, why in bad[1:]:
                say(f"  also: {why}")
        else:
            say(f"Whole: {result.checked:,} records, every seal holds.")
        if result.regressions:
            say(f"The clock went back: {result.why}. Explain it: opsconsole audit accept-clock --reason …")
        for one in compared:
            say(_say_compared(one))
        for record in off:
            say(_say_off(record))
        for record in unresolved:
            say(f"Open since {record.utc:%Y-%m-%d %H:%M}Z: record {record.seq}, {record.action} {record.campaign}")
    wrong = bad or against or result.regressions or off
    sys.exit(ATTENTION if wrong else UNREACHED if unreached else FINE)


def _compare(console: "Console") -> "tuple[Compared, ...]":
    """Every host's anchors against the store. The look at the hosts before tells which machines they are."""
    if console.witness is None:
        return ()
    console.watch.refresh(console.witness.keepers)
    return console.witness.check()


def _say_off(record: "Record") -> str:
    names = record.detail.get("put_back")
    which = ", ".join(map(str, names)) if isinstance(names, list) else "some"
    return (
        f"The protection of the records was off before record {record.seq}, and is on again ({which}). An "
        "upgrade did that, or somebody who can write to the database. Look into it, then: "
        f"opsconsole audit resolve {record.seq} --reason …"
    )


def _compared_json(one: "Compared") -> dict[str, object]:
    return {
        "keeper": one.keeper,
        "reached": not one.unreached,
        "trouble": one.unreached,
        "newest": one.held,
        "lines": one.lines,
        "found": [{"kind": str(c.kind), "seq": c.seq, "text": c.text} for c in one.found],
    }


def _say_compared(one: "Compared") -> str:
    if one.unreached:
        return f"{one.keeper} could not be asked for its anchors: {one.unreached}"
    if one.found:
        return "\n".join(f"{one.keeper}: {c.text}" for c in one.found)
    held = f"up to record {one.held}" if one.held else "none so far"
    return f"{one.keeper} agrees: {one.lines:,} anchors looked at, {held}."


@audit.command()
@json_option
@click.pass_obj
@guarded
def anchors(session: Session, as_json: bool) -> None:
    """What each host holds: copies of the head, each with the record it is of."""
    from opsconsole.ports import Trouble

    held: list[dict[str, object]] = []
    silent = 0
    with session.console(look=False) as console:
        witness = console.witness
        for name in witness.keepers if witness else ():
            try:
                lines = witness.lines(name) if witness else ()
            except Trouble as error:
                silent += 1
                held.append({"keeper": name, "trouble": str(error)})
                continue
            for text, line in lines:
                known = (
                    {"seq": line.seq, "mac": line.mac, "utc": line.utc.isoformat(), "machine": line.machine}
                    if line
                    else {"line": text}
                )
                held.append({"keeper": name, "honest": line is not None, **known})
    if as_json:
        say_json(held)
    else:
        for item in held:
            told = item.get("trouble") or (
                f"record {item['seq']:>6}  {str(item['utc'])[:19]}Z  {item['mac']}"
                if item["honest"]
                else f"NOT ONE OF OURS  {item['line']}"
            )
            say(f"{item['keeper']}  {told}")
        if not held:
            say("No anchors are kept anywhere so far.")
    sys.exit(UNREACHED if silent else FINE if all(item["honest"] for item in held) else ATTENTION)


@audit.command()
@click.argument("seq", type=int)
@click.option("--reason", required=True, help="What was found; recorded.")
@click.pass_obj
@guarded
def resolve(session: Session, seq: int, reason: str) -> None:
    """Close intent SEQ, which has no outcome: somebody looked, and says what they found. Repeats nothing."""
    with session.console() as console:
        record = console.resolve(seq, reason)
    say(f"Record {seq} is resolved by record {record.seq}.")


@audit.command("accept-clock")
@click.option("--reason", required=True, help="What was wrong with the clock; recorded.")
@click.pass_obj
@guarded
def accept_clock(session: Session, reason: str) -> None:
    """Say why the console's clock went back, so that sends are taken again."""
    with session.console(look=False) as console:
        record = console.accept_clock(reason)
    say(f"Explained by record {record.seq}.")


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
