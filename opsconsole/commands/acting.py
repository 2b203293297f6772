"""Commands that make a carrier do something: dry-run, send, attach, pause, resume, cancel."""

import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from opsconsole.case import say_counts
from opsconsole.commands.common import (
    ATTENTION,
    FINE,
    Session,
    ask_twice,
    confirm_option,
    guarded,
    json_option,
    masked,
    say,
    say_json,
    slug_argument,
    stop,
    tell_waiting,
)
from opsconsole.commands.silence import Silence
from opsconsole.digests import short
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.ports import Refused, RunState
from opsconsole.present import going_json

if TYPE_CHECKING:
    from opsconsole.console import Console


class Printer:
    """Prints a run's output as it comes, addresses masked: a runner's JSON as one short line, other lines as is."""

    def __init__(self, quiet: bool) -> None:
        from opsconsole.runlog import Reader
        from opsconsole.runwords import say_event

        self._quiet, self._reader, self._last, self._say_event = quiet, Reader(), "", say_event

    def __call__(self, data: bytes) -> None:
        for line in self._reader.feed(data) if not self._quiet else ():
            ours = line.event if line.event and line.event.ours else None
            if ours and ours.ends:
                continue  # what came of it is said when all is in
            text = masked(self._say_event(ours) if ours else line.text)
            if text and text != self._last:
                say(text)
            self._last = text


@click.command("dry-run")
@slug_argument
@json_option
@click.pass_obj
@guarded
def dry_run(session: Session, slug: str, as_json: bool) -> None:
    """Rehearse on the carrier: count and render everyone, send nothing. Names the plan a send would follow."""
    with session.console() as console:
        result = console.dry_run(slug, Printer(as_json), threading.Event())
        plan, why = _plan_or_why(console, slug)
        if as_json:
            say_json(
                {
                    **asdict(result),
                    "digest": result.digest,
                    "plan": plan.digest if plan else None,
                    "no_plan_because": why,
                }
            )
        else:
            counted = f"{result.audience:,}" if result.audience is not None else "nobody"
            word = "OK" if result.ok else "FAILED"
            passed_over = f", {result.suppressed:,} suppressed" if result.suppressed else ""
            say(f"{word}: {counted} counted, {result.refused:,} refused{passed_over}.")
            if result.server:
                say(f"  {masked(result.server)}")
            for trouble in result.troubles:
                say(f"  {trouble}")
            if plan:
                say(f"Plan {short(plan.digest)}, good until {plan.expires_at:%H:%M} UTC. To send it:")
                say(f"  opsconsole send {slug} --plan {short(plan.digest)}")
            else:
                say(f"No plan: {why}")
    sys.exit(FINE if result.ok else ATTENTION)


def _plan_or_why(console: "Console", slug: str) -> tuple[Plan | None, str]:
    try:
        return console.plan(slug), ""
    except Refused as error:
        return None, str(error)


@click.command()
@slug_argument
@click.option("--plan", "digest", required=True, help="The plan's digest, as the dry run named it.")
@confirm_option
@click.option("--reason", default="", help="Why, where a finding is overridden.")
@click.option("--detach", is_flag=True, help="Don't follow the log; the run goes on by itself.")
@json_option
@click.pass_obj
@guarded
def send(session: Session, slug: str, digest: str, typed: str, reason: str, detach: bool, as_json: bool) -> None:
    """Send a campaign for real, by the plan of its dry run. Asks twice."""
    with session.console() as console:
        plan = console.plan_of(slug, digest)
        confirmation = console.confirmation("send", slug, plan)
        if not typed:
            typed = ask_twice(console, slug, confirmation)
        started = console.send(plan, typed, reason)
        verb = "started" if started.fresh else "was running already; attached"
        if not as_json:
            say(f"Run {plan.run_id} {verb} on {console.where(plan.carrier)}.")
        if detach:
            if as_json:
                say_json(
                    {"slug": slug, "run_id": plan.run_id, "fresh": started.fresh, "state": str(started.state.says)}
                )
            return
        follow(console, slug, plan.attempt, as_json)


@click.command()
@slug_argument
@click.option("--attempt", type=int, default=None, help="An earlier attempt; the newest by default.")
@click.option("--from", "offset", type=int, default=0, help="Begin at this byte of the log.")
@json_option
@click.pass_obj
@guarded
def attach(session: Session, slug: str, attempt: int | None, offset: int, as_json: bool) -> None:
    """Follow a run's log, from its first byte, until it ends. Leaving ends nothing."""
    with session.console() as console:
        state = console.run_state(slug, attempt)
        if state is None:
            raise Refused(f"No run of {slug} is known to its carrier.", "", "See `opsconsole show`.")
        follow(console, slug, state.attempt, as_json, offset)


def follow(console: "Console", slug: str, attempt: int, as_json: bool, offset: int = 0) -> None:
    printer = Printer(as_json)
    with Silence(slug) as silence:

        def take(data: bytes) -> None:
            silence.heard()
            printer(data)

        followed = console.follow(slug, attempt, offset, take, threading.Event())
    end = followed.end
    if end is None:
        stop("The log ended, but not the run. Attach again.", ATTENTION)
    if as_json:
        say_json(state_json(end))
    else:
        say_state(end)
        tell_waiting(console)
    counts = end.word.counts
    whole = end.word.rc == 0 and (counts is None or not (counts.failed or counts.unknown))
    sys.exit(FINE if whole and end.says is Says.ENDED else ATTENTION)


def say_state(state: RunState) -> None:
    counts = f", {say_counts(state.word.counts)}" if state.word.counts else ""
    rc = f", exit code {state.word.rc}" if state.word.rc is not None else ""
    why = f"; {masked(state.word.going.why)}" if state.word.going.why and state.word.ended_at is None else ""
    say(f"{state.slug} run {state.run_id or state.attempt}: {state.says}{counts}{rc}{why}")


def state_json(state: RunState) -> dict[str, object]:
    word = state.word
    return {
        "slug": state.slug,
        "run_id": state.run_id,
        "attempt": state.attempt,
        "state": str(state.says),
        "rc": word.rc,
        "counts": asdict(word.counts) if word.counts else None,
        "started_at": word.started_at.isoformat() if word.started_at else None,
        "ended_at": word.ended_at.isoformat() if word.ended_at else None,
        "log_bytes": state.out_size,
        "rate": word.rate,
        "eta_s": word.eta_s,
        "going": going_json(word.going),
    }


@click.command()
@slug_argument
@json_option
@click.pass_obj
@guarded
def pause(session: Session, slug: str, as_json: bool) -> None:
    """Start no new message; those on the wire are waited for."""
    _signal(session, slug, as_json, lambda console: console.signal(slug, "pause"))


@click.command()
@slug_argument
@json_option
@click.pass_obj
@guarded
def resume(session: Session, slug: str, as_json: bool) -> None:
    """Go on with a paused run."""
    _signal(session, slug, as_json, lambda console: console.signal(slug, "resume"))


@click.command()
@slug_argument
@click.option("--reason", required=True, help="Why, in a few words; recorded.")
@confirm_option
@json_option
@click.pass_obj
@guarded
def cancel(session: Session, slug: str, reason: str, typed: str, as_json: bool) -> None:
    """End a run for good. Whoever is left gets nothing. Asks twice. (To call a campaign off: call-off.)"""

    def end(console: "Console") -> RunState:
        phrase = typed or ask_twice(console, slug, console.confirmation("stop", slug))
        return console.signal(slug, "stop", phrase, reason)

    _signal(session, slug, as_json, end)


def _signal(session: Session, slug: str, as_json: bool, act: "Callable[[Console], RunState]") -> None:
    with session.console() as console:
        state = act(console)
        if as_json:
            say_json(state_json(state))
        else:
            say_state(state)
