"""Commands that only look: board, show, preflight, runs."""

import difflib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from opsconsole.board import Board, matching
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
from opsconsole.present import board_json, due_words, moved_words, verdict_json
from opsconsole.redact import visible
from opsconsole.schedule import say_instant, say_span
from opsconsole.verdict import Group, Status, Verdict

if TYPE_CHECKING:
    from opsconsole.audit.records import OutboxItem
    from opsconsole.console import Console


@click.command()
@click.option("--status", "statuses", multiple=True, help="Only this status (repeatable), such as overdue.")
@click.option("--filter", "text", default="", help="Only campaigns with all of these words.")
@click.option("--last-known", is_flag=True, help="From the last known state: asks nobody.")
@json_option
@click.pass_obj
@guarded
def board(session: Session, statuses: tuple[str, ...], text: str, last_known: bool, as_json: bool) -> None:
    """Every campaign and its status, those in trouble first."""
    wanted = _wanted(statuses)
    if last_known:
        from opsconsole.wiring import remembered

        shown = _narrowed(remembered(session.loaded()), wanted, text)
        _print_board(shown, as_json)
        sys.exit(ATTENTION if shown.group(Group.ATTENTION) else FINE)
    with session.console() as console:
        known = console.board()
        shown = _narrowed(known, wanted, text)
        troubles = _troubles(console)
        _print_board(shown, as_json, troubles)
        if not as_json:
            for trouble in troubles:
                click.echo(visible(trouble), err=True)
            _say_left_out(known, shown, wanted)
        check_attention(console, len(shown.group(Group.ATTENTION)))


def _troubles(console: "Console") -> list[str]:
    """Why nothing can be done at all, or be sent by some carrier: one line each."""
    carriers = sorted(dict(console.carrier_trouble).items())
    found = [console.store_trouble, *(f"{name}: {why}" for name, why in carriers if why)]
    return [" ".join(trouble.split()) for trouble in found if trouble]


def _wanted(words: Sequence[str]) -> frozenset[str]:
    """The statuses asked for. A word that is none must not read as `nobody is in trouble`."""
    known = [str(status) for status in Status]
    wanted = []
    for word in words:
        status = word.upper().replace("-", " ").replace("_", " ")
        if status not in known:
            close = difflib.get_close_matches(status, known, n=1)
            hint = f" Did you mean {_spelled(close[0])!r}?" if close else ""
            raise click.BadParameter(
                f"there is no status {word!r}.{hint} Known are {', '.join(map(_spelled, known))}.",
                param_hint="--status",
            )
        wanted.append(status)
    return frozenset(wanted)


def _spelled(status: str) -> str:
    return status.lower().replace(" ", "-")


def _say_left_out(board: Board, shown: Board, wanted: frozenset[str]) -> None:
    """An empty answer tells that it is one, and what a blind source keeps from being judged."""
    if not shown.verdicts:
        say("No such campaign.")
    blind = sum(v.status is Status.UNKNOWN for v in board.verdicts)
    if blind and wanted and Status.UNKNOWN not in wanted:
        say(f"{blind} UNKNOWN, not judged: a source that would know is out of reach.")


def _narrowed(board: Board, wanted: frozenset[str], text: str) -> Board:
    verdicts = tuple(v for v in matching(board.verdicts, text) if not wanted or v.status in wanted)
    return Board(at=board.at, verdicts=verdicts, sources=board.sources)


def _print_board(board: Board, as_json: bool, troubles: Sequence[str] = ()) -> None:
    if as_json:
        say_json({**board_json(board), "troubles": list(troubles)})
        return
    for source in board.sources:
        age = f"{say_span(board.at - source.answered_at)} ago" if source.answered_at else "never"
        say(f"{'●' if source.fresh else '○'} {source.name}  {age}  {source.trouble}".rstrip())
        for finding in source.findings:
            say(f"    {finding}")
    for group in Group:
        rows = board.group(group)
        if rows:
            say()
            say(f"{group} {len(rows)}")
        for v in rows:
            audience = f"{v.audience:,}" if v.audience is not None else "–"
            say(f"  {v.status:<10} {v.slug:<28} {due_words(v, board.at):<34} {audience:>8}  {v.why}")


@click.command()
@slug_argument
@json_option
@click.pass_obj
@guarded
def show(session: Session, slug: str, as_json: bool) -> None:
    """What every source says of one campaign, and what to do about it."""
    with session.console() as console:
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
    from opsconsole.audit.records import AuditUnavailable

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
    say(f"  subject: {verdict.details.subject or '–'}")
    for finding in verdict.findings:
        say(f"  {finding.severity:<6} {finding.code}: {finding.text}")
    for o in verdict.observations:
        age = f"{say_span(now - o.observed_at)} ago" if o.observed_at else "never heard"
        say(f"  {o.source}: {o.says}, {age}{f'; {o.trouble}' if o.trouble else ''}")
        for line in o.evidence:
            at = f"  {say_instant(line.at, zone, now)}" if line.at else ""
            say(f"    {line.letter}{line.mark} {line.label}: {line.text}{at}")
    for words in told:
        say(f"  {words}")
    say(f"  next: {', '.join(verdict.next_steps) or 'nothing'}")


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
