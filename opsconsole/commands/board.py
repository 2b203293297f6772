"""The board as a command, and the saved views of it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from opsconsole import filters
from opsconsole.board import Board
from opsconsole.commands.common import (
    ATTENTION,
    FINE,
    USAGE,
    Session,
    check_attention,
    guarded,
    json_option,
    say,
    say_json,
    stop,
)
from opsconsole.filters import FilterError, Query
from opsconsole.present import board_json, due_words, round_mark
from opsconsole.redact import visible
from opsconsole.schedule import say_span
from opsconsole.verdict import Group, Status, Verdict
from opsconsole.views import ViewError, Views, views_path

if TYPE_CHECKING:
    from opsconsole.console import Console

EPILOG = """\b
A filter is words that must all occur, and conditions:
  group:attention  status:overdue,unknown  source:blast-mail-prod  series:welcome
  owner:ana  finding:fires-again  text:"two words"  !word  !status:sent
  due:today  due:<2h  due:>tomorrow  due:2026-05-01..2026-05-14  due:none
  sort:due  sort:-due  (status, slug, due, audience, moved, series)
"""


def _words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What the shell completes the language's own words with; those of the board it would have to ask for."""
    return [word for word in filters.vocabulary(param.name or "", ()) if word.startswith(incomplete)]


@click.command(epilog=EPILOG)
@click.option("--filter", "text", default="", help="Only what this filter holds for; see below.")
@click.option("--view", "view", default="", help="Only what this saved view shows.")
@click.option(
    "--status", multiple=True, shell_complete=_words, help="Only this status (repeatable), such as overdue."
)
@click.option(
    "--group", multiple=True, shell_complete=_words, help="Only this group: attention, in-flight, upcoming, done."
)
@click.option("--source", multiple=True, help="Only campaigns that this source knows.")
@click.option("--series", multiple=True, help="Only the rounds of this series.")
@click.option("--owner", multiple=True, help="Only campaigns of this owner.")
@click.option("--finding", multiple=True, help="Only campaigns with this finding, such as fires-again.")
@click.option(
    "--due",
    multiple=True,
    shell_complete=_words,
    help="Only what is due then: today, '<2h', '>tomorrow'; see below.",
)
@click.option(
    "--sort",
    default="",
    shell_complete=_words,
    help="By status, slug, due, audience, moved or series; -due turns it round.",
)
@click.option("--last-known", is_flag=True, help="From the last known state: asks nobody.")
@json_option
@click.pass_obj
@guarded
def board(
    session: Session,
    /,
    text: str,
    view: str,
    sort: str,
    last_known: bool,
    as_json: bool,
    **options: tuple[str, ...],
) -> None:
    """Every campaign and its status, those in trouble first."""
    if last_known:
        from opsconsole.wiring import remembered

        known = remembered(session.loaded())
        query = _query(session, known.at, text, view, sort, options)
        shown = replace(known, verdicts=query.shown(known.verdicts))
        _print_board(shown, query, as_json)
        _say_left_out(known, shown, query, as_json)
        sys.exit(ATTENTION if shown.group(Group.ATTENTION) else FINE)
    from opsconsole.wiring import utc_now

    _query(session, utc_now(), text, view, sort, options)  # a wrong word is told before anybody is asked
    with session.console() as console:
        known = console.board()
        query = _query(session, known.at, text, view, sort, options)
        shown = replace(known, verdicts=query.shown(known.verdicts))
        troubles = _troubles(console)
        _print_board(shown, query, as_json, troubles)
        if not as_json:
            for trouble in troubles:
                click.echo(visible(trouble), err=True)
        _say_left_out(known, shown, query, as_json)
        check_attention(console, len(shown.group(Group.ATTENTION)))


def _query(
    session: Session, now: datetime, text: str, view: str, sort: str, options: Mapping[str, Sequence[str]]
) -> Query:
    """All that was asked for, together. A word that is none must not read as `nobody is in trouble`."""
    zone, query, place = _zone(session), Query(), "--view"
    try:
        if view:
            query = filters.parse(_views(session).get(view).query, zone, now)
        place = "--filter"
        query = query.also(filters.parse(text, zone, now))
        for key, values in options.items():
            place = f"--{key}"
            if words := [word for value in values for word in ([value] if key == "owner" else value.split(","))]:
                condition = filters.condition_of(key, words, zone, now)
                query = replace(query, conditions=(*query.conditions, condition))
        place = "--sort"
        if sort:
            order, reverse = filters.parse_sort(sort)
            query = replace(query, sort=order, reverse=reverse)
    except (FilterError, ViewError) as error:
        raise click.BadParameter(visible(str(error)), param_hint=place) from error
    return query


def _zone(session: Session) -> str:
    from opsconsole.wiring import local_zone

    return session.loaded().settings.operator.timezone or local_zone()


def _views(session: Session) -> Views:
    from opsconsole import views

    loaded = session.loaded()
    return views.load(loaded.settings.views, views_path(loaded.data_dir))


def _troubles(console: "Console") -> list[str]:
    """Why nothing can be done at all, or be sent by some carrier: one line each."""
    carriers = sorted(dict(console.carrier_trouble).items())
    found = [console.store_trouble, *(f"{name}: {why}" for name, why in carriers if why)]
    return [" ".join(trouble.split()) for trouble in found if trouble]


def _say_left_out(board: Board, shown: Board, query: Query, as_json: bool) -> None:
    """An empty answer tells that it is one, who needs somebody all the same, and what can't be judged now."""
    unknown = query.unknown(board.verdicts) if not shown.verdicts else ""
    if as_json:
        if unknown:
            click.echo(visible(unknown), err=True)
        return
    if not shown.verdicts:
        say(f"No such campaign. {unknown}".rstrip())
        if silent := [source.name for source in board.sources if not source.answered_at]:
            say(f"{', '.join(silent)} never answered: what is there isn't known.")
    seen = {v.slug for v in shown.verdicts}
    hidden = sum(v.group is Group.ATTENTION and v.slug not in seen for v in board.verdicts)
    if hidden:
        say(f"{hidden} more {'need' if hidden > 1 else 'needs'} attention, left out by the filter.")
    judged = query.without("status", "group", "finding").of(board.verdicts)
    blind = sum(v.status is Status.UNKNOWN and v.slug not in seen for v in judged)
    if blind:
        say(f"{blind} UNKNOWN, not judged: a source that would know is out of reach.")


def _print_board(board: Board, query: Query, as_json: bool, troubles: Sequence[str] = ()) -> None:
    if as_json:
        say_json({**board_json(board), "troubles": list(troubles)})
        return
    for source in board.sources:
        age = f"{say_span(board.at - source.answered_at)} ago" if source.answered_at else "never"
        say(f"{'●' if source.fresh else '○'} {source.name}  {age}  {source.trouble}".rstrip())
        for finding in source.findings:
            say(f"    {finding}")
    if query.sort:
        say()
        _print_rows(board.verdicts, board.at)
        return
    for group in Group:
        rows = board.group(group)
        if rows:
            say()
            say(f"{group} {len(rows)}")
        _print_rows(rows, board.at)


def _print_rows(rows: Sequence[Verdict], now: datetime) -> None:
    for v in rows:
        audience = f"{v.audience:,}" if v.audience is not None else "–"
        name = f"{v.slug} {round_mark(v)}".rstrip()
        say(f"  {v.status:<10} {name:<28} {due_words(v, now):<34} {audience:>8}  {v.why}")


@click.command()
@click.option("--save", "saved", nargs=2, metavar="NAME FILTER", help="Keep a filter under a name.")
@click.option("--forget", "forgotten", metavar="NAME", help="Take a view that you saved away.")
@json_option
@click.pass_obj
@guarded
def views(session: Session, saved: tuple[str, str] | None, forgotten: str | None, as_json: bool) -> None:
    """The saved views of the board: those of the configuration and your own."""
    from opsconsole import views as keeping
    from opsconsole.wiring import utc_now

    loaded, zone, now = session.loaded(), _zone(session), utc_now()
    place = views_path(loaded.data_dir)
    try:
        if saved:
            filters.parse(saved[1], zone, now)
            keeping.save(loaded.settings.views, place, *saved)
        if forgotten:
            keeping.forget(loaded.settings.views, place, forgotten)
    except (FilterError, ViewError) as error:
        stop(str(error), USAGE)
    known = _views(session)
    lines = [(view, _why_not(view.query, zone, now)) for view in known.views]
    if as_json:
        rows = [{"name": v.name, "filter": v.query, "own": v.own, "trouble": why} for v, why in lines]
        say_json({"views": rows, "trouble": known.trouble})
    else:
        for view, why in lines:
            where = "own" if view.own else "configuration"
            say(f"{view.name:<24}  {where:<13}  {view.query}{f'  ! {why}' if why else ''}")
        if not lines:
            say("No view is saved. In the screens: filter with /, then ctrl+s.")
        if known.trouble:
            click.echo(visible(known.trouble), err=True)
    sys.exit(ATTENTION if known.trouble or any(why for _, why in lines) else FINE)


def _why_not(query: str, zone: str, now: datetime) -> str:
    try:
        filters.parse(query, zone, now)
    except FilterError as error:
        return str(error)
    return ""
