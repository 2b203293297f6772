"""Commands for a run that broke: doubt, settle, send-rest, release-claim; and break-glass."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from opsconsole.case import say_counts
from opsconsole.commands.acting import follow, say_state, state_json
from opsconsole.commands.common import (
    ATTENTION,
    FINE,
    USAGE,
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
)
from opsconsole.commands.deciding import tell_decision

if TYPE_CHECKING:
    from opsconsole.doubts import SideBySide
    from opsconsole.ports import Doubt

SHOWN = 50  # unknown recipients listed for people; --json has all that the carrier gave


@click.command()
@slug_argument
@json_option
@click.pass_obj
@guarded
def doubt(session: Session, slug: str, as_json: bool) -> None:
    """What the journal, the mail log and every other source say of a broken run, side by side. Changes nothing."""
    with session.console() as console:
        view = console.doubt_beside(slug)
        if as_json:
            say_json(view.document())
        else:
            _say_side_by_side(view)
    sys.exit(ATTENTION if view.doubt.unsent or view.doubt.unknown_total else FINE)


def _say_side_by_side(view: "SideBySide") -> None:
    d = view.doubt
    say(f"{d.slug} is {view.status}: {view.why}")
    say(f"  journal of run {d.run_id}: {say_counts(d.counts)}, {d.unsent:,} provably not sent")
    say(f"  mail log: {d.maillog}")
    for word in view.words:
        say(f"  {word.source}: {word.says}, {word.counts}{'' if word.fresh else ' (not fresh)'}")
    for one in d.unknown[:SHOWN]:
        logged = f"; mail log: {one.maillog or 'nothing of it'}" if d.has_maillog else ""
        say(f"  row {one.row:<7} {one.who:<32} {one.why}{logged}")
    if d.unknown_total > SHOWN:
        say(f"  … {d.unknown_total - SHOWN:,} more of whom nobody knows (--json lists {len(d.unknown):,})")
    for action, why in view.choices:
        say(f"opsconsole {action} {d.slug}   {why}")


@click.command()
@slug_argument
@click.option("--rows", default="", help="Which recipients, by row: 3,7 or 3-9.")
@click.option("--all", "everybody", is_flag=True, help="All of whom nobody knows.")
@click.option("--proven", is_flag=True, help="Those whose mail the mail server took, by its log: with --sent.")
@click.option("--sent", "fate", flag_value="sent", help="They got it: they are not mailed again.")
@click.option("--resend", "fate", flag_value="resend", help="They didn't: send-rest mails them.")
@click.option("--reason", default="", help="What the decision rests on; recorded.")
@confirm_option
@json_option
@click.pass_obj
@guarded
def settle(
    session: Session,
    slug: str,
    rows: str,
    everybody: bool,
    proven: bool,
    fate: str,
    reason: str,
    typed: str,
    as_json: bool,
) -> None:
    """Decide, for recipients of whom nobody knows, whether they got it. Sends nothing. Asks twice."""
    from opsconsole.ports import EveryUnknown, Fate, Fates, concerned

    if bool(rows) + everybody + proven != 1:
        stop("Say which: --rows 3,7, --all or --proven. Nothing was done.", USAGE)
    if not fate:
        stop("Say what is so: --sent or --resend. Nothing was done.", USAGE)
    if proven and fate != Fate.SENT:
        stop("--proven goes with --sent: who has their mail isn't mailed again. Nothing was done.", USAGE)
    with session.console() as console:
        fates: Fates = dict.fromkeys(_rows(rows), Fate(fate)) if rows else {}
        if everybody:
            fates = EveryUnknown(fate=Fate(fate), count=console.doubt(slug).unknown_total)
        if proven:
            doubt = console.doubt(slug)
            fates = {one.row: Fate.SENT for one in doubt.unknown if one.taken}
            if not fates:
                stop(f"The mail log proves it of nobody ({doubt.maillog}). Nothing was done.", ATTENTION)
        number = concerned(fates)
        if not typed:
            typed = ask_twice(console, slug, console.confirmation("settle", slug, rows=number))
        left = console.settle(slug, fates, typed, reason)
        if as_json:
            say_json({"settled": number, "as": fate, **_left(left)})
        else:
            left_over = f"{left.unknown_total:,} unknown and {left.unsent:,} unsent"
            say(f"{number:,} settled as {fate}. {left_over} are left.")
            if left.unsent or left.unknown_total:
                say(f"What can be done now: opsconsole doubt {slug}")
    sys.exit(ATTENTION if left.unknown_total or left.unsent else FINE)


def _left(left: "Doubt") -> dict[str, object]:
    return {"unknown": left.unknown_total, "unsent": left.unsent, "counts": asdict(left.counts)}


MOST_ROWS = 100_000


def _rows(text: str) -> list[int]:
    """`3,7` or `3-9` as numbers; leaves with 2 for anything else."""
    found: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and len(first) + len(last) < 19):
            stop(f"--rows takes numbers such as 3,7 or 3-9, not {part.strip()!r}. Nothing was done.", USAGE)
        numbers = range(int(first), int(last or first) + 1)
        if not 0 < len(numbers) <= MOST_ROWS:
            stop(f"--rows {part.strip()} names nobody, or too many at once. Nothing was done.", USAGE)
        found.update(dict.fromkeys(numbers))
    return list(found)


@click.command("send-rest")
@slug_argument
@click.option("--reason", default="", help="Why; recorded.")
@confirm_option
@click.option("--detach", is_flag=True, help="Don't follow the log; the run goes on by itself.")
@json_option
@click.pass_obj
@guarded
def send_rest(session: Session, slug: str, reason: str, typed: str, detach: bool, as_json: bool) -> None:
    """Go on with the same run: those who provably got nothing, and nobody else. Asks twice."""
    with session.console() as console:
        before = console.run_state(slug)
        offset = before.out_size if before else 0
        if not typed:
            typed = ask_twice(console, slug, console.confirmation("send-rest", slug))
        started = console.send_rest(slug, typed, reason)
        state = started.state
        if not as_json:
            verb = "goes on" if started.fresh else "was going on already; attached"
            say(f"Run {state.run_id} {verb}.")
        if not detach:
            follow(console, slug, state.attempt, as_json, offset)
        elif as_json:
            say_json({**state_json(state), "fresh": started.fresh})


@click.command("release-claim")
@slug_argument
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def release_claim(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
    """Give up a claim under which provably nothing was sent, so that it can be planned again. Asks twice."""
    with session.console() as console:
        if not typed:
            typed = ask_twice(console, slug, console.confirmation("release-claim", slug))
        state = console.release_claim(slug, typed, reason)
        if as_json:
            say_json(state_json(state))
            return
        say_state(state)
        verdict = console.verdict(slug)
        say(f"The claim is released. {slug} is now {verdict.status}: {verdict.why}")


@click.command("break-glass")
@slug_argument
@reason_option
@confirm_option
@json_option
@click.pass_obj
@guarded
def break_glass(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
    """Do without the second person, for this content and a short time. Admins only; others are notified."""
    with session.console() as console:
        if not typed:
            typed = ask_twice(console, slug, console.confirmation("break-glass", slug))
        record = console.break_glass(slug, typed, reason)
        tell_decision(console, record, slug, as_json)
