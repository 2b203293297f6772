"""Commands that record a decision: mark, reschedule, call-off, hold, release, approve."""

import click

from opsconsole.commands.acting import _ask_twice
from opsconsole.commands.common import Session, guarded, json_option, reason_option, say, say_json, slug_argument

confirm_option = click.option(
    "--confirm", "typed", default="", help='Without a terminal: "<slug> <count>", exactly.'
)


def _decide(
    session: Session, action: str, slug: str, reason: str, as_json: bool, typed: str = "", local: str = ""
) -> None:
    from opsconsole.actions import BY_ID, Danger

    with session.console() as console:
        if BY_ID[action].danger is Danger.DESTRUCTIVE and not typed:
            typed = _ask_twice(console.confirmation(action, slug))
        record = console.decide(action, slug, reason, typed=typed, local=local)
        verdict = console.verdict(slug)
        if as_json:
            say_json({"slug": slug, "record": record.seq, "status": str(verdict.status), "why": verdict.why})
        else:
            say(f"Recorded as {record.seq}. {slug} is now {verdict.status}: {verdict.why}")
            for item in console.waiting():
                say(f"{item.destination}: {item.says(console.clock())}")


@click.command()
@slug_argument
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def mark(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
    """Record that a campaign went out, on the evidence you name. Sends nothing. Asks twice."""
    _decide(session, "mark", slug, reason, as_json, typed)


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


@click.command("call-off")
@slug_argument
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def call_off(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
    """Decide that a campaign will not be sent. Asks twice. (To end a run: cancel.)"""
    _decide(session, "cancel", slug, reason, as_json, typed)


@click.command()
@slug_argument
@reason_option
@json_option
@click.pass_obj
@guarded
def hold(session: Session, slug: str, reason: str, as_json: bool) -> None:
    """Nobody may send SLUG (or `everything`) until it is released."""
    if slug == "everything":
        _everything(session, False, reason)
    else:
        _decide(session, "hold", slug, reason, as_json)


@click.command()
@slug_argument
@reason_option
@json_option
@click.pass_obj
@guarded
def release(session: Session, slug: str, reason: str, as_json: bool) -> None:
    """Take the hold off SLUG (or `everything`)."""
    if slug == "everything":
        _everything(session, True, reason)
    else:
        _decide(session, "release", slug, reason, as_json)


@click.command()
@slug_argument
@reason_option
@json_option
@click.pass_obj
@guarded
def approve(session: Session, slug: str, reason: str, as_json: bool) -> None:
    """Approve the content as it lies on the host now. Needs the role approver."""
    _decide(session, "approve", slug, reason, as_json)


def _everything(session: Session, release: bool, reason: str) -> None:
    with session.console() as console:
        record = console.hold_scope("everything", release, reason)
        say(
            f"Recorded as {record.seq}. {'The hold on everything is off.' if release else 'Everything is on hold.'}"
        )
