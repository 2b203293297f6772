"""Operations of the systems beyond a run, on the command line: what can be done, and doing it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsconsole.commands.acting import Printer
from opsconsole.commands.common import (
    ATTENTION,
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
    tell_waiting,
)

if TYPE_CHECKING:
    from opsconsole.operations import Offered
    from opsconsole.ports import Operated, Operation

LONGEST_VALUE = 1 << 20  # bytes of a file that a value is read from


@click.command()
@click.argument("source", default="")
@click.argument("operation", default="")
@click.option("--campaign", "slug", default="", help="Those about this campaign; else those about no single one.")
@click.option("--value", default="", help="The value that it asks for.")
@click.option("--value-from", "file", default="", help="The file whose text is the value.")
@click.option("--reason", default="", help="Why, in a few words; recorded.")
@click.option("--confirm", "typed", default="", help='Without a terminal: "<slug or source> <count>", as it asks.')
@json_option
@click.pass_obj
@guarded
def op(
    session: Session,
    source: str,
    operation: str,
    slug: str,
    value: str,
    file: str,
    reason: str,
    typed: str,
    as_json: bool,
) -> None:
    """What can be done to the systems beside a run; with SOURCE and OPERATION, do it. Asks twice.

    Such as another rate on listmonk, or a dead-letter queue sent on. Without arguments it lists all, with what
    speaks against each.
    """
    with session.console() as console:
        offered = console.operations(slug, source)
        if not operation:
            _list(offered, as_json)
            sys.exit(UNREACHED if offered.unread else FINE)
        chosen = _chosen(offered, source, operation)
        wanted = _read(file) if file else value
        if not typed:
            typed = ask_twice(console, slug, console.confirm_operation(chosen, wanted))
        with _stopped_by_hand() as stopping:
            done = console.operate(chosen, wanted, typed, reason, Printer(as_json), stopping)
        _tell(chosen, done, as_json)
        if not as_json:
            tell_waiting(console)
    sys.exit(ATTENTION if done.stopped else FINE)


def _chosen(offered: "Offered", source: str, name: str) -> "Operation":
    from opsconsole.ports import NotThere, OutOfReach

    found = next((one for one in offered.operations if one.id == name), None)
    if found is not None:
        return found
    if offered.unread:
        raise OutOfReach(offered.unread[0][1], "Nothing was done.")
    known = ", ".join(one.id for one in offered.operations) or "nothing"
    raise NotThere(f"{source} offers no {name!r} here.", "Nothing was done.", f"It offers {known}.")


def _read(file: str) -> str:
    try:
        if Path(file).stat().st_size > LONGEST_VALUE:
            stop(f"{file} is over {LONGEST_VALUE:,} bytes: that is no value. Nothing was done.", USAGE)
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        stop(f"{file} can't be read: {error}. Nothing was done.", USAGE)


@contextmanager
def _stopped_by_hand() -> "Iterator[threading.Event]":
    """Ctrl+C ends it after the step that is under way; pressed again it leaves at once."""
    stopping = threading.Event()

    def press(number: int, frame: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        say("Stopping after what is under way; Ctrl+C again leaves without knowing what came of it.")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


def _list(offered: "Offered", as_json: bool) -> None:
    if as_json:
        operations = [_json(one) for one in offered.operations]
        say_json({"operations": operations, "unread": dict(offered.unread)})
        return
    for one in offered.operations:
        number = f", {one.count:,} concerned" if one.count is not None else ""
        campaign = f" --campaign {one.slug}" if one.slug else ""
        say(f"{one.label}{number}")
        say(f"  opsconsole op {one.source} {one.id}{campaign}{' --value …' if one.asks else ''}")
        for label, text in one.lines:
            say(f"  {label:<12} {text}")
        if one.asks:
            say(f"  asks for     {one.asks}")
        if one.against:
            say(f"  not now      {one.against}")
    for name, why in offered.unread:
        say(f"{name} can't be asked now: {why}")
    if not (offered.operations or offered.unread):
        say("No system offers anything beside runs here.")


def _json(one: "Operation") -> dict[str, Any]:
    return {
        "source": one.source,
        "id": one.id,
        "label": one.label,
        "campaign": one.slug or None,
        "lines": dict(one.lines),
        "warnings": list(one.warnings),
        "count": one.count,
        "asks": one.asks or None,
        "mails": one.mails,
        "against": one.against or None,
    }


def _tell(chosen: "Operation", done: "Operated", as_json: bool) -> None:
    if as_json:
        said = {"source": chosen.source, "id": chosen.id, "campaign": chosen.slug or None, "says": done.says}
        say_json({**said, "count": done.count, "before": done.before, "after": done.after, "stopped": done.stopped})
        return
    say(f"{'Stopped. ' if done.stopped else ''}{done.says}")
    for label, text in (("was", done.before), ("is", done.after)):
        if text:
            say(f"  {label:<4} {text}")
