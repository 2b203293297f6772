"""Commands that record a decision: mark, close, reschedule, call-off, hold, release, approve."""

from typing import TYPE_CHECKING

import click

from opsconsole.commands.common import (
    Session,
    ask_twice,
    confirm_option,
    guarded,
    json_option,
    reason_option,
    say,
    say_json,
    slug_argument,
    tell_waiting,
)

if TYPE_CHECKING:
    from opsconsole.audit.records import Record
    from opsconsole.console import Console


def _decide(
    session: Session, action: str, slug: str, reason: str, as_json: bool, typed: str = "", local: str = ""
) -> None:
    from opsconsole.actions import BY_ID, Danger

    with session.console() as console:
        if BY_ID[action].danger is Danger.DESTRUCTIVE and not typed:
            typed = ask_twice(console, slug, console.confirmation(action, slug))
        record = console.decide(action, slug, reason, typed=typed, local=local)
        tell_decision(console, record, slug, as_json, holds=action in ("hold", "release"))


def tell_decision(console: "Console", record: "Record", slug: str, as_json: bool, *, holds: bool = False) -> None:
    """The record, what the campaign is now, and who hasn't heard of it yet; of a hold, also who has."""
    verdict = console.verdict(slug)
    if as_json:
        said = {"slug": slug, "record": record.seq, "status": str(verdict.status), "why": verdict.why}
        hosts = {"hosts": console.told_of_hold(slug)} if holds else {}
        say_json({**said, **hosts, "untold": console.untold_holds()})
        return
    say(f"Recorded as {record.seq}. {slug} is now {verdict.status}: {verdict.why}")
    if holds:
        _say_told(console, slug)
    tell_waiting(console)


def _say_told(console: "Console", scope: str) -> None:
    for host, told in console.told_of_hold(scope).items():
        say(f"{host} {'was told' if told else 'has not been told yet'}.")


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


mark = _confirmed(
    "mark", "mark", "Record that a campaign went out, on the evidence you name. Sends nothing. Asks twice."
)
close = _confirmed(
    "close",
    "close",
    "Leave a broken run as it is: whoever is left gets nothing. Its alarms end. Asks twice.",
)
call_off = _confirmed(
    "cancel", "call-off", "Decide that a campaign will not be sent. Asks twice. (To end a run: cancel.)"
)


@click.command()
@slug_argument
@click.argument("due")
@reason_option
@json_option
@click.pass_obj
@guarded
def reschedule(session: Session, slug: str, due: str, reason: str, as_json: bool) -> None:
    """Give a campaign a new DUE time, "2026-05-14 10:00" in its own zone. Cron lines stay as they are."""
    _decide(session, "reschedule", slug, reason, as_json, local=due)


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
            say_json({**said, "untold": console.untold_holds()})
            return
        say(f"Recorded as {record.seq}. {f'The hold on {scope} is off' if free else f'On hold: {scope}'}.")
        _say_told(console, scope)
        tell_waiting(console)
