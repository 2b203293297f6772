"""Commands that only look: show, preflight, runs."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from opsconsole import actions
from opsconsole.board import Board
from opsconsole.commands.common import (
    ATTENTION,
    FINE,
    UNREACHED,
    Session,
    check_attention,
    guarded,
    json_option,
    say,
    say_json,
    slug_argument,
)
from opsconsole.present import due_words, moved_words, say_series, verdict_json
from opsconsole.schedule import say_instant, say_span
from opsconsole.verdict import Group, Verdict

if TYPE_CHECKING:
    from opsconsole.audit.records import OutboxItem
    from opsconsole.console import Console


@click.command()
@slug_argument
@click.option("--timeline", "story", is_flag=True, help="Everything that happened, out of every source, in order.")
@json_option
@click.pass_obj
@guarded
def show(session: Session, slug: str, story: bool, as_json: bool) -> None:
    """What every source says of one campaign, and what to do about it."""
    with session.console() as console:
        if story:
            from opsconsole.commands.reports import print_timeline

            group = print_timeline(console, slug, as_json).group
            check_attention(console, group is Group.ATTENTION)
        verdict, told = console.verdict(slug), _recorded(console, slug)
        now, zone = console.clock(), verdict.details.zone
        if as_json:
            from opsconsole.recording import recorded_json

            say_json({**verdict_json(verdict), "recorded": [recorded_json(item, now, zone) for item in told]})
        else:
            from opsconsole.recording import say_recorded

            _print_verdict(verdict, console.board(), [say_recorded(item, now, zone) for item in told])
        check_attention(console, verdict.group is Group.ATTENTION)


def _recorded(console: "Console", slug: str) -> "tuple[OutboxItem, ...]":
    """Nothing from a store that can't be read: that is told in its own place."""
    from opsconsole.errors import AuditUnavailable

    try:
        return console.recorded(slug)
    except AuditUnavailable:
        return ()


def _print_verdict(verdict: Verdict, board: Board, told: Sequence[str] = ()) -> None:
    now, zone = board.at, verdict.details.zone
    say(f"{verdict.status}  {verdict.slug}  {verdict.details.name}".rstrip())
    say(f"  {verdict.why}")
    moved = f"; last moved {moved_words(verdict, now)} ago" if verdict.moved else ""
    say(f"  due {due_words(verdict, now)}{moved}")
    if series := say_series(verdict, board.verdicts, now):
        say(f"  {series}")
    say(f"  subject: {verdict.details.subject or '–'}")
    for finding in verdict.findings:
        say(f"  {finding.severity:<6} {finding.code}: {finding.text}")
    for o in verdict.observations:
        if o.link:
            say(f"  its page on {o.source}: {o.link}")
    for o in verdict.observations:
        age = f"{say_span(now - o.observed_at)} ago" if o.observed_at else "never heard"
        say(f"  {o.source}: {o.says}, {age}{f'; {o.trouble}' if o.trouble else ''}")
        for line in o.evidence:
            at = f"  {say_instant(line.at, zone, now)}" if line.at else ""
            say(f"    {line.letter}{line.mark} {line.label}: {line.text}{at}")
    for words in told:
        say(f"  {words}")
    steps = (actions.BY_ID[step].command or step for step in verdict.next_steps)  # as they are typed
    say(f"  next: {', '.join(steps) or 'nothing'}")


@click.command()
@slug_argument
@json_option
@click.pass_obj
@guarded
def preflight(session: Session, slug: str, as_json: bool) -> None:
    """Every check before a send, with a remedy for each that fails. Sends nothing."""
    from opsconsole.preflight.check import Outcome

    glyphs = {Outcome.PASS: "✓", Outcome.WARN: "!", Outcome.FAIL: "✖", Outcome.SKIPPED: "–"}
    with session.console() as console:
        results = []
        for result in console.preflight(slug):
            results.append(result)
            if not as_json:
                say(f"{glyphs[result.outcome]} {result.outcome:<7} {result.check_id:<22} {result.says}")
                for line in result.evidence if result.outcome is not Outcome.PASS else ():
                    say(f"      {line}")
                if result.remedy:
                    say(f"      → {result.remedy}")
        blocking = [r for r in results if r.blocks]
        if as_json:
            from dataclasses import asdict

            say_json({"slug": slug, "ok": not blocking, "results": [asdict(r) for r in results]})
        else:
            say(f"{len(results)} checks, {len(blocking)} forbid a send.")
    sys.exit(ATTENTION if blocking else FINE)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@json_option
@click.pass_obj
@guarded
def runs(session: Session, everything: bool, as_json: bool) -> None:
    """The runs that are going (or, with --all, every run that is known)."""
    with session.console() as console:
        now = console.clock()
        found = [v for v in console.board().verdicts if v.run and (everything or v.group is Group.IN_FLIGHT)]
        if as_json:
            say_json([{**(verdict_json(v)["run"] or {}), "slug": v.slug, "status": str(v.status)} for v in found])
        for v in found if not as_json else ():
            say(f"{v.status:<10} {v.slug:<28} moved {moved_words(v, now)} ago  {v.why}")
        if not found and not as_json:
            say("No run is going.")
        sys.exit(UNREACHED if any(not s.fresh for s in console.board().sources) else FINE)
