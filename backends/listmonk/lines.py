"""The lines of evidence listmonk gives for a campaign: S its state, A its audience, E errors, B bounces. Pure."""

from collections.abc import Iterator
from datetime import datetime

from backends.listmonk.campaigns import COMING, DRAFT, FINISHED, PAUSED, RUNNING, SCHEDULED, Campaign
from backends.listmonk.looks import Seen
from backends.listmonk.trail import Trail
from opsconsole.observation import Counts, Evidence, Mark, RunWord, Says
from opsconsole.schedule import say_instant, say_span


def evidence(
    campaign: Campaign, says: Says, word: RunWord | None, trail: Trail, seen: Seen, zone: str
) -> tuple[Evidence, ...]:
    """`at` of each line is the instant it speaks of, None for a state that has none."""
    return (
        _state(campaign, says, word, seen, zone),
        _audience(campaign, seen),
        *_errors(campaign, trail, seen),
        *_bounces(campaign, seen),
    )


def _state(campaign: Campaign, says: Says, word: RunWord | None, seen: Seen, zone: str) -> Evidence:
    def line(mark: Mark, text: str, at: datetime | None = None) -> Evidence:
        return Evidence(letter="S", label="listmonk", mark=mark, text=text, at=at)

    def when(at: datetime | None) -> str:
        return f" {say_instant(at, zone, seen.at)}" if at else ""

    counts = word.counts if word else None
    match campaign.status:
        case "draft" if campaign.send_at is None:
            return line(Mark.NO, "draft, without a send date", campaign.updated_at)
        case "draft":
            return line(Mark.NO, f"draft, send date{when(campaign.send_at)}: not scheduled", campaign.send_at)
        case "scheduled":
            late = campaign.send_at is not None and seen.at > campaign.send_at
            return line(Mark.BAD if late else Mark.WAITING, f"scheduled{when(campaign.send_at)}", campaign.send_at)
        case "running":
            return line(
                Mark.MOVING, f"{_so_far(counts)}{_pace(campaign, word, seen)}", word.progress_at if word else None
            )
        case "paused":
            why = f"; {word.note}" if word and word.note else ""
            return line(Mark.WAITING, f"paused at {_so_far(counts)}{why}", campaign.updated_at)
        case "cancelled":
            return line(Mark.NO, f"cancelled{when(campaign.updated_at)}, {_so_far(counts)}", campaign.updated_at)
        case "finished":
            whole = counts is not None and counts.total is not None and counts.accepted >= counts.total > 0
            text = f"finished{when(campaign.updated_at)}, {_so_far(counts)}"
            return line(Mark.YES if whole else Mark.BAD, text, campaign.updated_at)
    return line(Mark.UNSEEN, f"status {campaign.status[:40]!a}")


def _so_far(counts: Counts | None) -> str:
    if counts is None:
        return "nothing sent"
    total = f" of {counts.total:,}" if counts.total is not None else ""
    return f"{counts.accepted:,}{total} sent"


def _pace(campaign: Campaign, word: RunWord | None, seen: Seen) -> str:
    it = seen.running.get(campaign.id)
    words = []
    if it is not None:
        words.append(f"{it.rate:,.0f} a minute" if it.rate else "none in the last minute")
    if word is not None and word.progress_at is not None:
        words.append(f"moved {say_span(seen.at - word.progress_at)} ago")
    return f" ({', '.join(words)})" if words else ""


def _audience(campaign: Campaign, seen: Seen) -> Evidence:
    names = ", ".join(name[:60] + (" (deleted)" if number is None else "") for number, name in campaign.lists[:4])
    more = f" and {len(campaign.lists) - 4} more" if len(campaign.lists) > 4 else ""
    lists = f"{names}{more}" if names else "no list"
    content = seen.contents.get(campaign.id)
    people = content.rows if content and campaign.status in COMING else campaign.to_send or None
    mark = Mark.BAD if not campaign.list_ids or people == 0 else Mark.YES if people else Mark.UNSEEN
    told = f"{people:,} people" if people is not None else "not counted yet"
    return Evidence(letter="A", label="listmonk audience", mark=mark, text=f"{told}; {lists}")


def _errors(campaign: Campaign, trail: Trail, seen: Seen) -> Iterator[Evidence]:
    """Only of what was started: before, there is nothing to fail."""
    if campaign.status in (DRAFT, SCHEDULED):
        return
    if not trail.read:
        yield Evidence(letter="E", label="listmonk errors", mark=Mark.UNSEEN, text="its log can't be read")
        return
    failed = len(trail.failed)
    if not failed and not trail.unrendered:
        text = "none in its log" + ("" if not trail.gaps else ", of which lines are missing")
        known = campaign.status in (RUNNING, PAUSED) or trail.picked_up is not None
        if known:
            yield Evidence(letter="E", label="listmonk errors", mark=Mark.YES, text=text)
        return
    classes = ", ".join(f"{number:,} × {name}" for name, number in trail.classes[:4])
    words = [f"{failed:,} not taken ({classes})"] if failed else []
    words += [f"{trail.unrendered:,} not rendered"] if trail.unrendered else []
    yield Evidence(
        letter="E", label="listmonk errors", mark=Mark.BAD, text=", ".join(words), at=trail.last_error_at
    )


def _bounces(campaign: Campaign, seen: Seen) -> Iterator[Evidence]:
    if campaign.status not in (RUNNING, PAUSED, FINISHED) and not campaign.bounces:
        return
    if not campaign.bounces and seen.tuning is not None and not seen.tuning.bounces:
        text = "it processes none: ask the mail provider"
        yield Evidence(letter="B", label="listmonk bounces", mark=Mark.UNSEEN, text=text)
        return
    if not campaign.bounces:
        yield Evidence(letter="B", label="listmonk bounces", mark=Mark.YES, text="none")
        return
    classes = seen.bounces.get(campaign.id, {})
    said = ", ".join(f"{number:,} {name}" for name, number in sorted(classes.items(), key=lambda it: -it[1]))
    text = (
        f"{campaign.bounces:,}" + (f" ({said})" if said else "") + ", at least: it records no more than its limits"
    )
    yield Evidence(letter="B", label="listmonk bounces", mark=Mark.BAD, text=text)
