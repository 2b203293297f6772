"""Runs that this console's store knows nothing of, and those of them that somebody has adopted. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from opsconsole.case import say_counts
from opsconsole.errors import Refused
from opsconsole.observation import Adopted, Observation, RunWord, Says
from opsconsole.schedule import say_instant

RAN = frozenset({Says.RUNNING, Says.PAUSED, Says.STARTED, Says.ENDED})
SAME_START = timedelta(seconds=10)
"""A process and its log tell a start a few seconds apart. Nobody starts one by hand twice in so short a time."""


def others_runs(observations: Iterable[Observation], now: datetime) -> Iterator[tuple[Observation, Adopted | None]]:
    """Each carrier's word on a run that wasn't started from this console's store, with who adopted it, if anybody.

    None while the store itself isn't read: then nothing can be called foreign.
    """
    known = tuple(observations)
    own = [o for o in known if o.is_fresh(now) and o.own_runs is not None]
    if not own:
        return
    ids = {run_id for o in own for run_id in o.own_runs or ()}
    adopted = [word for o in own for word in o.adopted]
    for o in known:
        if o.keeps_traces and o.says in RAN and (o.run is None or o.run.run_id not in ids or not o.run.run_id):
            yield o, next((word for word in adopted if o.run and is_of(word, o.source, o.run)), None)


def is_of(adopted: Adopted, source: str, run: RunWord) -> bool:
    """Whether it is this run that was adopted: by its id, else by where it ran and when it began."""
    if adopted.run_id or run.run_id:
        return adopted.run_id == run.run_id
    at = began(run)
    return adopted.source == source and at is not None and abs(at - adopted.began) <= SAME_START


def to_adopt(observations: Iterable[Observation], now: datetime) -> tuple[Observation, RunWord, datetime]:
    """The run that can be adopted: who tells of it, the run, when it began. Raises Refused for none."""
    for o, adopted in others_runs(observations, now):
        if adopted is None:
            at = began(o.run) if o.run else None
            if o.run is None or (at is None and not o.run.run_id):
                raise Refused(
                    f"{o.source} tells of a run without an id and without an instant",
                    "It can't be named, so it was not adopted",
                    "Look at its log; if it went out, mark it as executed on that evidence",
                )
            return o, o.run, at or o.run.claimed_at or now
    raise Refused("No run of it is foreign to this console.", "Nothing was done.")


def say_run(observations: Iterable[Observation], zone: str, now: datetime) -> tuple[tuple[str, str], ...]:
    """What would be recorded of that run, as lines with their labels. Raises Refused."""
    o, run, at = to_adopt(observations, now)
    counts = say_counts(run.counts) if run.counts else "no counts told"
    end = f"ended {say_instant(run.ended_at, zone, now)}" if run.ended_at else str(o.says)
    attempt = f", attempt {run.attempt}" if run.attempt else ""
    return (
        ("run", f"{run.run_id or 'without an id'}{attempt} on {o.source}"),
        ("started by", run.by or "nobody known"),
        ("started", say_instant(at, zone, now)),
        ("it is", f"{end}; {counts}"),
        ("then", "the dashboard is told of its end" if o.says is Says.ENDED else "its end is told once it is seen"),
    )


def began(run: RunWord) -> datetime | None:
    """The instant by which a run without an id is known; None when it left none."""
    return run.started_at or run.ended_at
