"""From the command to the running send: who may run, what was planned, what was done before."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from runner.campaign import suppression
from runner.campaign.files import Campaign, open_campaign
from runner.campaign.suppression import Suppressed
from runner.campaign.survey import Survey, survey
from runner.channel import loop
from runner.channel.choose import channel_for
from runner.errors import BAD_DATA, BUSY, CANCELLED, JOURNAL, Refused
from runner.record import journal, past
from runner.record.journal import Journal, Replay
from runner.run import claim
from runner.run.control import Control
from runner.run.output import DeliveryLog, Output, RunLog
from runner.run.progress import Counts
from runner.run.send import Sender
from runner.run.task import Task
from runner.run.words import closing_lines
from runner.settings import Account, Settings, Smtp, suppression_list


@dataclass
class Result:
    """`counts` is None when nothing was begun."""

    rc: int
    counts: Counts
    seconds: float
    reason: str | None
    lines: list[str]
    account: Account
    sender: str


def send(
    settings: Settings,
    control: Control,
    output: Output,
    *,
    tick: Callable[[int], None],
    capabilities: str,
    version: str,
    born: float,
) -> Result:
    """Send or resume a campaign. Raises Refused before the first mail; afterwards the result says how it ended.

    `born` is when this process began (Unix seconds).
    """
    run, attempt = _who_may_run(settings)
    claim.refuse_if_held(settings.holds_dir, settings.slug)
    campaign = open_campaign(settings.campaigns_dir, settings.slug)
    try:
        channel = channel_for(campaign.metadata.channel)
        account = channel.account(settings.credentials)
        lists = Suppressed.load(
            suppression.lists(settings.campaigns_dir / settings.slug, suppression_list(settings))
        )
        found = survey(
            campaign,
            tick=tick,
            now=datetime.now(UTC),
            suppressed=lists.has if lists else None,
            rendered=run is not None and past.rehearsed(run),
        )
        _refuse_bad(found)
        claim.refuse_if_held(settings.holds_dir, settings.slug)  # the look at every row may have taken long
        if run is None:
            run = claim.claim(settings.state_dir / settings.slug, settings.slug, attempt, datetime.now(UTC))
            claim.work_alone(run.path)
        _refuse_stale(run, campaign, found)
        old = _former(run, settings.mode, campaign, found, output)
        claim.record_start(run, datetime.now(UTC))
        claim.durable_write(run.path / "runner.json", capabilities + "\n")
        if not run.supervised:
            output.copy_to(run.path / "out")
        log = RunLog(settings.log_dir / f"{settings.slug}.log", output)
        counts: Counts | None = None
        book: Journal | None = None
        rc = JOURNAL  # unless we get further
        try:
            states, counts = past.starting_point(
                run, campaign, found.states, found.keys, old, found.suppressed_rows
            )
            left = counts.total - counts.processed
            log.line(
                f"{settings.mode} started: run {run.run_id}, attempt {run.attempt}, "
                f"{left} of {counts.total} recipients to send"
            )
            control.follow(run.path / "control", since=born if settings.mode == "resume" else 0.0)
            began = time.monotonic()
            book = _open_journal(run, campaign, found, old, states, version)
            assert found.composer is not None
            found.composer.run_id = run.run_id
            connections = min(settings.connections, account.limits.connections or settings.connections)
            wires = channel.wires(account, connections, settings.pipelining)
            sender = Sender(
                Task(
                    settings=settings,
                    campaign=campaign,
                    surveyed=found,
                    wires=wires,
                    journal=book,
                    states=states,
                    tries=old.attempts if old else {},
                    counts=counts,
                    control=control,
                    output=output,
                    delivery=DeliveryLog(run.path / "delivery.jsonl", output) if settings.log_delivery else None,
                    switch=partial(_switch, account, wires),
                    account=account,
                )
            )
            book.keep_room(left)
            claim.refuse_if_held(settings.holds_dir, settings.slug)
            rc, reason = loop.run(sender.run(), account)
            seconds = time.monotonic() - began
            lines = closing_lines(counts, seconds, sender.progress.done_here, sender.progress.classes)
            if reason:
                lines.insert(0, f"Stopped: {reason}")
            elif rc == CANCELLED:
                lines.insert(0, f"Cancelled by {'a signal' if control.signals else 'the control file'}")
            elif not left:
                lines.insert(0, "Nothing was left to send: nobody was mailed")
            if output.lost:
                lines.append(f"The output was cut: {output.lost} lines of it are missing, the disk was full")
            for line in lines:
                log.line(line)
            return Result(rc, counts, seconds, reason, lines, account, campaign.metadata.from_)
        except Refused as error:
            rc = error.code
            log.line(f"Stopped: {error}")
            raise
        finally:
            if book is not None:
                book.close()
            claim.record_end(run, rc, counts.as_dict() if counts else None, datetime.now(UTC), output.complain)
    finally:
        campaign.close()


def _who_may_run(settings: Settings) -> tuple[claim.RunDir | None, int]:
    """The attempt to work on, or the number of the one to claim. Takes the locks, kept until this process ends: the
    attempt's own, and the campaign's when nobody did for us."""
    if settings.run_dir is not None:
        return _entered(claim.existing(settings.run_dir, settings.run_id, supervised=True)), 0
    slug_dir = settings.state_dir / settings.slug
    claim.lock(slug_dir)
    if settings.mode == "send":
        return None, claim.next_attempt(slug_dir)
    last = claim.latest(slug_dir)
    if last is None:
        raise Refused(BAD_DATA, f"there is nothing to resume: {slug_dir} has no attempt")
    return _entered(claim.existing(last, None, supervised=False)), 0


def _entered(run: claim.RunDir) -> claim.RunDir:
    if claim.released(run.path):
        raise Refused(BUSY, f"{run.path} was given back: only a new attempt may send this campaign")
    claim.work_alone(run.path)
    return run


def _refuse_bad(found: Survey) -> None:
    """A table that can't be read to its end or a template that fails: nothing is sent at all."""
    if found.unreadable:
        raise Refused(BAD_DATA, f"blast_data.csv: {found.unreadable}")
    if found.broken:
        raise Refused(BAD_DATA, found.broken)
    if not found.audience:
        raise Refused(BAD_DATA, f"none of the {found.rows} rows can be mailed; --mode dry-run says why")


def _refuse_stale(run: claim.RunDir, campaign: Campaign, found: Survey) -> None:
    if stale := past.stale(run, campaign.digests, found.audience, found.suppressed):
        raise Refused(BAD_DATA, f"plan is stale: {'; '.join(stale)}. Nothing was sent; dry-run and plan again")


def _former(run: claim.RunDir, mode: str, campaign: Campaign, found: Survey, output: Output) -> Replay | None:
    """What earlier processes of this attempt did; None when nothing was begun. Raises Refused (65, 70, 75)."""
    path = run.path / "journal"
    if mode == "send" and path.exists() and path.stat().st_size:
        raise Refused(BUSY, f"{run.path} was started before; --mode resume goes on with it")
    old = past.former(run, repair=True)
    if old is None:
        return None
    if old.torn:
        output.complain(f"the journal's last record was torn ({old.torn} bytes); it is left out")
    for change in past.changes(old, past.identity(run, campaign, found.rows)):
        raise Refused(
            BAD_DATA,
            f"{change}. Resume sends the rest of the same campaign: put the former files back",
        )
    return old


def _open_journal(
    run: claim.RunDir, campaign: Campaign, found: Survey, old: Replay | None, states: bytearray, version: str
) -> Journal:
    """The journal with this process's header in it, and the marker that says there is one, all on the disk."""
    book = Journal(run.path / "journal")
    book.header(past.identity(run, campaign, found.rows), claim.boot_id(), version, datetime.now(UTC).isoformat())
    if old:
        for row in old.doubtful():
            if old.states[row] != journal.UNKNOWN and states[row] == journal.UNKNOWN:
                key = found.keys[row]
                why = "the process ended before the answer" if row in old.begun else "the machine restarted"
                book.unknown(row, f"{key:016x}" if key else "-", why)
    book.sync()
    claim.sync_dir(run.path)
    if not (run.path / "run.json").exists():
        marker = {"run_id": run.run_id, "slug": campaign.slug, "attempt": run.attempt, "journal": "journal"}
        claim.durable_write(run.path / "run.json", json.dumps(marker) + "\n")
    return book


def _switch(account: Account, wires: list[Any], name: str) -> Account | None:
    """Let the wires use the main account or the fallback from the next message on; None when there is none."""
    chosen = account if name == "main" else account.fallback if isinstance(account, Smtp) else None
    if chosen is not None:
        for wire in wires:
            wire.use(chosen)
    return chosen
