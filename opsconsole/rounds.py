"""What is wrong between the rounds of a series: one before another, two on a day, one twice, one missing. Pure.

A series is a text that campaigns share, a round is a campaign of its own. What was called off is no round any more;
what reached nobody may go out yet. A day is a local day of either campaign's zone, as its readers see it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from opsconsole.case import STARTS
from opsconsole.finding import Finding, Severity
from opsconsole.schedule import say_instant
from opsconsole.verdict import Status, Verdict, broken

LOUD_FOR = timedelta(hours=24)  # what can't be undone calls for somebody so long; then it stays on record


@dataclass(frozen=True, slots=True)
class _Round:
    """One campaign as a round. `out`: somebody may have got it; `done`: nothing is left to do about it."""

    slug: str
    status: Status
    number: int
    total: int | None
    zone: str
    out: bool
    done: bool
    due: datetime | None
    began: datetime | None
    at: datetime | None  # when it went out, or will at the earliest; None when it can't any more

    @property
    def name(self) -> str:
        return f"round {self.number} ({self.slug})"

    def says(self, instant: datetime | None, now: datetime) -> str:
        return f" {say_instant(instant, self.zone, now)}" if instant else ""


def series_of(verdict: Verdict) -> str:
    """What it shares with its other rounds, in one spelling; also of a campaign that couldn't be judged."""
    told = (verdict.details, *(o.details for o in verdict.observations))
    return next((name_of(d.series) for d in told if d.series), "")


def name_of(series: str) -> str:
    return " ".join(series.split()).casefold()


def compared(verdicts: Iterable[Verdict], now: datetime) -> tuple[Verdict, ...]:
    """The same verdicts, with what is wrong between the rounds of each series.

    A campaign whose rounds can't be compared is shown as ERROR, alone.
    """
    known = {verdict.slug: verdict for verdict in verdicts}
    series: dict[str, list[_Round]] = defaultdict(list)
    for verdict in list(known.values()):
        try:
            if (name := series_of(verdict)) and (found := _round(verdict, now)):
                series[name].append(found)
        except Exception as error:
            known[verdict.slug] = broken(verdict.slug, error, verdict.observations)
    for rounds in series.values():
        if len(rounds) > 1 or rounds[0].number != 1:
            for slug, findings in _findings(sorted(rounds, key=lambda r: (r.number, r.slug)), now).items():
                known[slug] = known[slug].having(findings)
    return tuple(known.values())


def _round(verdict: Verdict, now: datetime) -> _Round | None:
    """None for a campaign that is no round, or was called off."""
    told = (verdict.details, *(o.details for o in verdict.observations))
    details = next((d for d in told if d.round is not None), None)
    if details is None or details.round is None:
        return None
    starts = [o for o in verdict.observations if o.says in STARTS]
    out = bool(starts) and verdict.status not in (Status.FAILED, Status.CANCELLED)
    instants = [(o.run.started_at if o.run else None) or o.since for o in starts if not o.decided]
    began = min((instant for instant in instants if instant), default=None) if out else None
    due = verdict.details.due.instant if verdict.details.due else None
    gone = verdict.status is Status.CANCELLED or (verdict.latest_start is not None and now > verdict.latest_start)
    at = (began or due) if out else None if due is None or gone else max(due, now)
    zone = verdict.details.zone or "UTC"
    if at is not None:
        at.astimezone(ZoneInfo(zone))  # a zone or an instant that can't be used is this campaign's trouble alone
    return _Round(
        slug=verdict.slug,
        status=verdict.status,
        number=details.round,
        total=details.rounds,
        zone=zone,
        out=out,
        done=verdict.closed or verdict.status in (Status.SENT, Status.CANCELLED),
        due=due,
        began=began,
        at=at,
    )


def _findings(rounds: Sequence[_Round], now: datetime) -> dict[str, list[Finding]]:
    """By slug. `rounds` are those of one series, by number."""
    found: dict[str, list[Finding]] = defaultdict(list)
    standing = [r for r in rounds if r.status is not Status.CANCELLED]
    for finder in (_order, _twice, _same_day):
        for slug, finding in finder(standing, now):
            found[slug].append(finding)
    for slug, finding in _numbers(rounds):
        found[slug].append(finding)
    return found


Found = Iterator[tuple[str, Finding]]


def _order(rounds: Sequence[_Round], now: datetime) -> Found:
    """A later round waits for every earlier one. Once it is out its order can't be mended: a person decides."""
    first: _Round | None = None  # the first one that isn't done
    last_due: _Round | None = None  # of those not done so far, the one that is due last
    ended: _Round | None = None  # of those out so far, the one that began last
    last_out = max((r for r in rounds if r.out), key=lambda r: r.number, default=None)
    for number in sorted({r.number for r in rounds}):
        these = [r for r in rounds if r.number == number]
        for r in these:
            before = _before(r, first, last_due, now)
            if r.out and first:
                text = f"went out{r.says(r.began, now)} before {first.name}, which is {first.status}"
                yield r.slug, _warn("round-out-of-order", text, alarm=True)
            elif r.out and ended and r.began and ended.began and r.began < ended.began:
                text = f"went out{r.says(r.began, now)}, before {ended.name}{ended.says(ended.began, now)}"
                yield r.slug, _warn("round-out-of-order", text)
            elif before:
                when = f", due{before.says(before.due, now)}" if before.due else ""
                text = f"{before.name} comes first, and it is {before.status}{when}"
                yield r.slug, Finding(code="round-out-of-order", severity=Severity.BLOCK, text=text)
            if last_out and not r.out and not r.done and last_out.number > number:
                text = f"{last_out.name} has gone out{last_out.says(last_out.began, now)}: it comes after this one"
                yield r.slug, _warn("round-out-of-order", text)
        for r in these:
            if not r.done:
                first = first or r
                if r.due and (last_due is None or last_due.due is None or r.due > last_due.due):
                    last_due = r
            if r.out and r.began and (ended is None or ended.began is None or r.began > ended.began):
                ended = r


def _before(r: _Round, first: _Round | None, last_due: _Round | None, now: datetime) -> _Round | None:
    """The earlier round that stands in the way of this one: any at its hour, and before it one due no earlier."""
    if r.out or r.done or first is None:
        return None
    if r.due is None or now >= r.due:
        return first
    return last_due if last_due and last_due.due and last_due.due >= r.due else None


def _twice(rounds: Sequence[_Round], now: datetime) -> Found:
    same: dict[int, list[_Round]] = defaultdict(list)
    for r in rounds:
        same[r.number].append(r)
    for these in same.values():
        for r in these if len(these) > 1 else ():
            others = [other for other in these if other is not r]
            out = next((other for other in others if other.out), None)
            if r.out and out:
                began = max((instant for instant in (r.began, out.began) if instant), default=now)
                text = f"round {r.number} went out twice: also as {out.slug}{out.says(out.began, now)}"
                yield r.slug, _warn("round-twice", text, alarm=now - began < LOUD_FOR)
            elif out:
                text = f"round {r.number} has gone out already, as {out.slug}{out.says(out.began, now)}"
                yield r.slug, Finding(code="round-twice", severity=Severity.BLOCK, text=text, alarm=True)
            elif not r.out:
                text = f"{others[0].slug} is round {r.number} too: cancel one of them"
                yield r.slug, Finding(code="round-twice", severity=Severity.BLOCK, text=text)


def _same_day(rounds: Sequence[_Round], now: datetime) -> Found:
    """Only warned of: some series have a morning and an evening. Told to the one that could still be moved."""
    dated = sorted((r for r in rounds if r.at), key=lambda r: (r.at or now, r.slug))
    for index, one in enumerate(dated):
        for other in dated[index + 1 :]:
            if one.at is None or other.at is None or other.at - one.at >= timedelta(hours=26):
                break
            zone = _shared_day(one.at, other.at, (one.zone, other.zone))
            if zone and one.number != other.number:
                for r, w in ((one, other), (other, one)):
                    if not r.out or w.out:
                        word = "went out" if w.out else "is to go out"
                        text = f"{w.name} {word}{w.says(w.at, now)}, on the same day in {zone}"
                        yield r.slug, _warn("rounds-same-day", text)


def _shared_day(one: datetime, other: datetime, zones: Iterable[str]) -> str:
    """The first zone in which both are on one local day; "" when they are on two in each."""
    for zone in zones:
        tz = ZoneInfo(zone)
        if one.astimezone(tz).date() == other.astimezone(tz).date():
            return zone
    return ""


def _numbers(rounds: Sequence[_Round]) -> Found:
    """Told of rounds that may still go out: history has gaps, since old campaigns are cleared away."""
    known = {r.number for r in rounds}
    totals = sorted({r.total for r in rounds if r.total is not None})
    for r in rounds:
        if r.out or r.done:
            continue
        missing = next((n for n in range(1, min(r.number, len(known) + 2)) if n not in known), None)
        if missing is not None:
            yield r.slug, _warn("round-missing", f"no source knows round {missing}, which comes before this one")
        if len(totals) > 1:
            text = f"its rounds disagree how many there are: {', '.join(map(str, totals))}"
            yield r.slug, _warn("rounds-disagree", text)
        if r.number < 1 or (r.total is not None and r.number > r.total):
            yield r.slug, _warn("rounds-disagree", f"it is round {r.number} of {r.total or 'an unknown number'}")


def _warn(code: str, text: str, *, alarm: bool = False) -> Finding:
    return Finding(code=code, severity=Severity.WARN, text=text, alarm=alarm)
