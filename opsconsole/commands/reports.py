"""The incident report of a campaign, and the hand-over of the whole board."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsconsole.commands.common import FINE, Session, guarded, json_option, say, say_json

if TYPE_CHECKING:
    from opsconsole.console import Console
    from opsconsole.reports.model import Model
    from opsconsole.verdict import Verdict


@click.command()
@click.argument("slug", default="")
@click.option("--board", "whole", is_flag=True, help="The hand-over of the whole board instead of one campaign.")
@click.option("--html", "as_html", is_flag=True, help="HTML instead of Markdown, for --output.")
@click.option(
    "--output", default="", help="Write one file there instead of both into the data folder; - prints it."
)
@click.option(
    "--hours", type=click.IntRange(1, 24 * 31), default=12, show_default=True, help="How far --board looks back."
)
@click.option(
    "--at", "instant", default="", help="The instant it speaks of, with its offset: the newest look or later."
)
@click.option("--last-known", is_flag=True, help="From the last known state: asks no source.")
@json_option
@click.pass_obj
@guarded
def report(
    session: Session,
    slug: str,
    whole: bool,
    as_html: bool,
    output: str,
    hours: int,
    instant: str,
    last_known: bool,
    as_json: bool,
) -> None:
    """What happened to one campaign, for people who weren't there; or (--board) what the next shift must know.

    Writes Markdown and HTML into the data folder and tells where. Sends nothing and changes nothing.
    """
    if bool(slug) == whole:
        raise click.UsageError("Name one campaign, or --board for the hand-over of all.")
    at = _aware(instant)
    with session.console(look=not last_known) as console:
        model, told_at = _model(console, slug, at, hours, ask=not last_known)
        if output == "-":
            from opsconsole.reports.render import render_html, render_markdown
            from opsconsole.reports.writing import record

            text = render_html(model) if as_html else render_markdown(model)
            _print(text)
            _tell_unrecorded(record(console, slug, {Path("-"): text.encode()}))
            return
        files, unrecorded = _write(console, session, model, told_at, slug, output, as_html)
    if as_json:
        say_json({**asdict(model), "files": files, "recorded": not unrecorded, "unrecorded": unrecorded})
    else:
        say(f"{model.lead}: {model.sentence}")
        for file in files:
            say(file)
    _tell_unrecorded(unrecorded)
    sys.exit(FINE)


def _model(
    console: "Console", slug: str, at: datetime | None, hours: int, *, ask: bool
) -> "tuple[Model, datetime]":
    from opsconsole.reports import gather

    if slug:
        from opsconsole.reports.incident import incident_model

        facts = gather.incident(console, slug, at, ask=ask)
        return incident_model(facts), facts.setting.at
    from opsconsole.reports.handover import handover_model

    shift = gather.shift(console, at, timedelta(hours=hours))
    return handover_model(shift), shift.setting.at


def _write(
    console: "Console", session: Session, model: "Model", at: datetime, slug: str, output: str, as_html: bool
) -> tuple[list[str], str]:
    from opsconsole.reports.render import render_html, render_markdown
    from opsconsole.reports.writing import write_both, write_one

    if not output:
        written = write_both(console, model, at, session.loaded().data_dir, slug)
        return [str(path) for path in written.files], written.unrecorded
    text = render_html(model) if as_html else render_markdown(model)
    return [output], write_one(console, text, Path(output), slug)


def _aware(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise click.BadParameter("write it with its offset, as 2026-05-12T17:52:00+00:00.", param_hint="--at")
    return instant.astimezone(UTC)


def print_timeline(console: "Console", slug: str, as_json: bool) -> "Verdict":
    """Everything that happened, out of every source; gives the verdict it belongs to."""
    from opsconsole.reports.gather import past
    from opsconsole.reports.model import say_full
    from opsconsole.timeline import entry_json, timeline

    verdict, now = console.verdict(slug), console.clock()
    zone, found = verdict.details.zone, past(console, verdict, now)
    entries = timeline(verdict, found, now)
    if as_json:
        told = [entry_json(entry, zone) for entry in entries]
        say_json({"slug": slug, "at": now.isoformat(), "timeline": told, "unread": list(found.unread)})
        return verdict
    for e in entries:
        when = say_full(e.at, zone) if e.at else "no instant"
        who, why = f"{e.who}: " if e.who else "", f" “{e.why}”" if e.why else ""
        raw = f" (its clock said {say_full(e.raw, zone)})" if e.raw else ""
        say(f"{when:<24} {e.source:<18} {e.mark} {who}{e.text}{why}{raw}")
    for unread in found.unread:
        say(f"not looked at: {unread}")
    return verdict


def _print(text: str) -> None:
    """As it is: nothing in a report acts on a terminal."""
    click.echo(text, nl=False)


def _tell_unrecorded(why: str) -> None:
    if why:
        click.echo(f"Not on record: {' '.join(why.split())}", err=True)
