"""What starts campaigns by itself, on the command line: look at it, switch it off, switch it on."""

from typing import TYPE_CHECKING, Any

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
from opsconsole.schedule import say_instant

if TYPE_CHECKING:
    from opsconsole.console import Console
    from opsconsole.observation import Observation, Trigger
    from opsconsole.ports import Switched

line_option = click.option(
    "--line",
    "where",
    default="",
    help="Which one, as /etc/cron.d/mail-blasts:14; not needed when there is but one.",
)


@click.group()
def trigger() -> None:
    """What starts a campaign by itself, such as a cron line or a schedule: show it, switch it off and on."""


@trigger.command("show")
@slug_argument
@json_option
@click.pass_obj
@guarded
def show(session: Session, slug: str, as_json: bool) -> None:
    """What would start SLUG by itself, and where a trigger may be unseen. Changes nothing."""
    from opsconsole.triggers import unseen

    with session.console() as console:
        verdict, now = console.verdict(slug), console.clock()
        found = [(o, t) for o in verdict.observations for t in o.triggers]
        blind = unseen(verdict, now)
        if as_json:
            say_json({"slug": slug, "triggers": [_trigger_json(o, t) for o, t in found], "unseen": list(blind)})
            return
        for o, t in found:
            when = f"next {say_instant(t.next_fire, verdict.details.zone, now)}" if t.next_fire else "never"
            say(f"{t.where} on {o.source}  {t.ignored_because or ('at every restart' if t.at_boot else when)}")
            say(f"  {t.text}")
        for line in blind or () if found else blind or ("Nothing starts it by itself.",):
            say(line)


def _trigger_json(o: "Observation", t: "Trigger") -> dict[str, Any]:
    return {
        "source": o.source,
        "where": t.where,
        "text": t.text,
        "live": t.live,
        "off": t.off,
        "can_switch": bool(t.key),
        "next_fire": t.next_fire.isoformat() if t.next_fire else None,
        "at_boot": t.at_boot,
        "ignored_because": t.ignored_because,
    }


@trigger.command("off")
@slug_argument
@line_option
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def off(session: Session, slug: str, where: str, reason: str, typed: str, as_json: bool) -> None:
    """Switch off what would start SLUG: a cron line is commented out, a schedule taken back. Asks twice."""
    _switch(session, slug, where, False, reason, typed, as_json)


@trigger.command("on")
@slug_argument
@line_option
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def on(session: Session, slug: str, where: str, reason: str, typed: str, as_json: bool) -> None:
    """Put back what was switched off: from then on it starts SLUG by itself. Asks twice."""
    _switch(session, slug, where, True, reason, typed, as_json)


def _switch(session: Session, slug: str, where: str, on: bool, reason: str, typed: str, as_json: bool) -> None:
    from opsconsole.triggers import TRIGGER_OFF, TRIGGER_ON, chosen

    with session.console() as console:
        key = chosen(console.verdict(slug), where, on=on).key
        if not typed:
            asked = console.confirmation(TRIGGER_ON if on else TRIGGER_OFF, slug, key=key)
            typed = ask_twice(console, slug, asked)
        _tell(console, slug, on, console.switch_trigger(slug, key, on, typed, reason), as_json)


def _tell(console: "Console", slug: str, on: bool, done: "Switched", as_json: bool) -> None:
    from opsconsole.triggers import live

    verdict = console.verdict(slug)
    left = [trigger.where for trigger in live(verdict, console.clock())]
    if as_json:
        said = {"slug": slug, "line": done.where, "on": on, "before": done.before, "after": done.after}
        said |= {"proof": done.proof, "undo": done.undo, "left": left}
        say_json({**said, "status": str(verdict.status), "why": verdict.why})
        return
    say(f"{done.where} is {'on' if on else 'off'}. {done.proof}.")
    say(f"  was  {done.before}")
    say(f"  is   {done.after}")
    if done.undo:
        say(f"To undo: opsconsole trigger {'off' if on else 'on'} {slug} --line {done.where} --reason …")
        say(f"  {done.undo}")
    say(f"{slug} is now {verdict.status}: {verdict.why}")
    say(f"What can still start it: {', '.join(left) or 'nothing that is known'}")
    tell_waiting(console)
