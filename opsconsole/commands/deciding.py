"""Commands that record a decision: mark, close, reschedule, call-off, adopt, hold, release, approve."""

import sys
from typing import TYPE_CHECKING, Any

import click

from opsconsole.commands.common import (
    REFUSED,
    Session,
    ask_twice,
    confirm_option,
    guarded,
    json_option,
    reason_option,
    say,
    say_json,
    slug_argument,
    stop,
    tell_waiting,
)

if TYPE_CHECKING:
    from opsconsole.audit.records import Record
    from opsconsole.console import Console

RESTS_ON = ("evidence", "proof", "due", "zone", "fold", "tzdata", "run_id", "result", "began", "run_by")
"""What of a decision's record is told again in its JSON."""


def _decide(
    session: Session, action: str, slug: str, reason: str, as_json: bool, typed: str = "", **more: Any
) -> None:
    """`more` goes to the console's decision."""
    from opsconsole.actions import BY_ID, Danger

    with session.console() as console:
        if BY_ID[action].danger is Danger.DESTRUCTIVE and not typed:
            typed = ask_twice(console, slug, console.confirmation(action, slug))
        record = console.decide(action, slug, reason, typed=typed, **more)
        tell_decision(console, record, slug, as_json, holds=action in ("hold", "release"))


def tell_decision(console: "Console", record: "Record", slug: str, as_json: bool, *, holds: bool = False) -> None:
    """The record, what the campaign is now, and who hasn't heard of it yet; of a hold, also who has."""
    verdict = console.verdict(slug)
    if as_json:
        said = {"slug": slug, "record": record.seq, "status": str(verdict.status), "why": verdict.why}
        said |= {name: record.detail[name] for name in RESTS_ON if name in record.detail}
        hosts: dict[str, Any] = {"hosts": console.told_of_hold(slug)} if holds else {}
        hosts |= {"unkept": console.unkept_hold(slug)} if holds else {}
        say_json({**said, **hosts, "untold": console.untold_holds()})
        return
    say(f"Recorded as {record.seq}. {slug} is now {verdict.status}: {verdict.why}")
    for line in _rests_on(record):
        say(f"  {line}")
    if holds:
        _say_told(console, slug, held=record.action == "hold")
    tell_waiting(console)


def _rests_on(record: "Record") -> list[str]:
    """What a decision rests on, as it was recorded: a line for each piece of it."""
    evidence, proof = record.detail.get("evidence"), record.detail.get("proof")
    if isinstance(evidence, list):
        lines = [f"{line['source']} {line['label']}: {line['text']}" for line in evidence if isinstance(line, dict)]
        return lines or ["on your word alone"]
    looks = proof.get("looks") if isinstance(proof, dict) else None
    found = [look for look in looks if isinstance(look, dict)] if isinstance(looks, list) else []
    return [f"{look['source']}, looked at {look['looked_at']}: nothing left that starts it" for look in found]


def _say_told(console: "Console", scope: str, *, held: bool) -> None:
    for host, told in console.told_of_hold(scope).items():
        say(f"{host} {'was told' if told else 'has not been told yet'}.")
    for line in console.unkept_hold(scope) if held else ():
        say(f"{line}.")


def _confirmed(action: str, name: str, says: str) -> click.Command:
    """A decision that is asked for twice."""

    @click.command(name, help=says)
    @slug_argument
    @reason_option
    @confirm_option
    @json_option
    @click.pass_obj
    @guarded
    def command(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
        _decide(session, action, slug, reason, as_json, typed)

    return command


@click.command()
@slug_argument
@click.option(
    "--evidence",
    "texts",
    multiple=True,
    help="A line of `show` that says so, by words of it; or what you know, in your own words. May be repeated.",
)
@click.option("--source", "sources", multiple=True, help="All that this source tells of a start. May be repeated.")
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def mark(
    session: Session,
    slug: str,
    texts: tuple[str, ...],
    sources: tuple[str, ...],
    reason: str,
    typed: str,
    as_json: bool,
) -> None:
    """Record that a campaign went out, on the evidence you name. Sends nothing. Asks twice.

    Without --evidence and --source it rests on the most telling there is, and says what that is.
    """
    from opsconsole.grounds import named, strongest

    with session.console() as console:
        verdict, now = console.verdict(slug), console.clock()
        chosen = named(verdict, now, texts, sources, console.identity.operator)
        evidence = strongest(verdict, now) if chosen is None else chosen
        if not typed:
            typed = ask_twice(console, slug, console.confirmation("mark", slug, evidence=evidence))
        record = console.decide("mark", slug, reason, typed=typed, evidence=evidence)
        tell_decision(console, record, slug, as_json)


close = _confirmed(
    "close",
    "close",
    "Leave a broken run as it is: whoever is left gets nothing. Its alarms end. Asks twice.",
)
call_off = _confirmed(
    "cancel",
    "call-off",
    "Decide that a campaign will not be sent, once nothing can start it. Asks twice. (To end a run: cancel.)",
)


@click.command()
@slug_argument
@click.argument("due")
@click.option("--first", "fold", flag_value=0, type=int, default=None, help="Of a doubled time, the first.")
@click.option("--second", "fold", flag_value=1, type=int, help="Of a doubled time, the second.")
@click.option("--yes", is_flag=True, help="On a terminal: don't ask whether the new time is the one meant.")
@reason_option
@json_option
@click.pass_obj
@guarded
def reschedule(
    session: Session, slug: str, due: str, fold: int | None, yes: bool, reason: str, as_json: bool
) -> None:
    """Give a campaign a new DUE time, "2026-05-14 10:00" in its own zone. Cron lines stay as they are."""
    from opsconsole.schedule import say_clocks, say_distance

    with session.console() as console:
        new = console.new_due(slug, due, fold)
        if not as_json:
            clocks = say_clocks(new.instant, new.zone, console.local_zone)
            say(f"New due time: {clocks}, {say_distance(new.instant, console.clock())}")
            if sys.stdin.isatty() and not yes and not click.confirm("Is that the one?", default=False):
                stop("Nothing was done.", REFUSED)
        record = console.decide("reschedule", slug, reason, local=due, fold=fold)
        tell_decision(console, record, slug, as_json)


@click.command()
@slug_argument
@reason_option
@json_option
@click.pass_obj
@guarded
def adopt(session: Session, slug: str, reason: str, as_json: bool) -> None:
    """Take over a run that others started: it is recorded as it is known now, and the dashboard told of its end."""
    _decide(session, "adopt", slug, reason, as_json)


@click.command()
@slug_argument
@reason_option
@json_option
@click.pass_obj
@guarded
def approve(session: Session, slug: str, reason: str, as_json: bool) -> None:
    """Approve the content as it lies on the host now. Needs the role approver."""
    _decide(session, "approve", slug, reason, as_json)


@click.command()
@click.argument("scope")
@reason_option
@json_option
@click.pass_obj
@guarded
def hold(session: Session, scope: str, reason: str, as_json: bool) -> None:
    """Nobody may send SCOPE until it is released: a campaign, `host:NAME`, or `everything`."""
    _hold(session, scope, False, reason, as_json)


@click.command()
@click.argument("scope")
@reason_option
@json_option
@click.pass_obj
@guarded
def release(session: Session, scope: str, reason: str, as_json: bool) -> None:
    """Take the hold off SCOPE: a campaign, `host:NAME`, or `everything`."""
    _hold(session, scope, True, reason, as_json)


def _hold(session: Session, scope: str, free: bool, reason: str, as_json: bool) -> None:
    if scope != "everything" and not scope.startswith("host:"):
        _decide(session, "release" if free else "hold", scope, reason, as_json)
        return
    with session.console() as console:
        record = console.hold_scope(scope, free, reason)
        if as_json:
            hosts = console.told_of_hold(scope)
            said = {"scope": scope, "record": record.seq, "held": not free, "hosts": hosts}
            said["unkept"] = console.unkept_hold(scope)
            say_json({**said, "untold": console.untold_holds()})
            return
        say(f"Recorded as {record.seq}. {f'The hold on {scope} is off' if free else f'On hold: {scope}'}.")
        _say_told(console, scope, held=not free)
        tell_waiting(console)
