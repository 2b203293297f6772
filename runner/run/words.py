"""What a run says to people: why it waits, how far it is, how it ended. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from runner.campaign.address import mask_text

_NAMED = {
    "window": "waiting for the window",
    "warm-up": "warm-up",
    **{state: state for state in ("paused", "cancelling", "cancelled", "failed", "starting", "sending")},
}


class Counted(Protocol):
    """The counters words are made of."""

    total: int
    accepted: int
    deferred: int
    failed: int
    unknown: int
    suppressed: int

    @property
    def processed(self) -> int: ...


def wait_words(state: str, inflight: int, why: str, until: float | None, now: datetime, zone: tzinfo) -> str:
    """`waiting for the window, opens at 09:00 Europe/London (08:00 UTC)`, `paused, 3 still in flight`; "" for a run
    that neither waits nor was stopped. Nothing new is begun in such a state; `inflight` are awaited. `until` is in
    Unix seconds."""
    if state in ("sending", "starting", "finished") and not why and until is None:
        return ""
    named = _NAMED.get(
        state, "" if why else state
    )  # other waits, such as behind another campaign, say all in `why`
    words = mask_text("" if state == "window" and until is not None else why)
    if not words.startswith(named):
        words = f"{named}: {words}" if words else named
    if until is not None:
        opens = say_instant(datetime.fromtimestamp(until, UTC), now, zone)
        words += f", {'opens' if state == 'window' else 'goes on'} {opens}"
    return f"{words}, {inflight:,} still in flight" if inflight else words


def say_instant(instant: datetime, now: datetime, zone: tzinfo) -> str:
    """`at 09:00 Europe/London (08:00 UTC)`, with the day when it is another than today in that zone."""
    local, utc = instant.astimezone(zone), instant.astimezone(UTC)
    day = "" if local.date() == now.astimezone(zone).date() else f"on {local:%a %d %b} "
    name = str(zone)
    if name == "UTC":
        return f"{day}at {utc:%H:%M} UTC"
    utc_day = "" if utc.date() == local.date() else f"{utc:%a} "
    return f"{day}at {local:%H:%M} {name} ({utc_day}{utc:%H:%M} UTC)"


def human_line(
    head: str, counts: Counted, rate_1s: float, rate_30s: float, left_s: float | None, classes: Mapping[str, int]
) -> str:
    """One line of --verbose. `left_s` is None where nothing is being sent: then no speed is told either."""
    c = counts
    share = 100 * c.processed // c.total if c.total else 100
    parts = [f"{c.processed:,} of {c.total:,} processed ({share} %)", f"{c.failed:,} SMTP failures"]
    if by_class := say_classes(classes):
        parts[-1] += f" ({by_class})"
    parts += [f"{c.unknown:,} unknown"] if c.unknown else []
    parts += [f"{c.deferred:,} to be tried again"] if c.deferred else []
    parts += [f"{c.suppressed:,} suppressed"] if c.suppressed else []
    if left_s is not None:
        parts.append(f"{say_rate(rate_1s)} now, {say_rate(rate_30s)} over 30 s, {say_seconds(left_s)} left")
    return f"{head}: {', '.join(parts)}"


def closing_lines(
    counts: Counted, seconds: float, done_here: int, classes: Mapping[str, int] | None = None
) -> list[str]:
    """The summary for people, in the words the hosts' logs have always used."""
    lines = [f"{counts.processed:,} recipients processed", f"{counts.failed:,} SMTP failures"]
    if by_class := say_classes(classes or {}):
        others = counts.failed - sum((classes or {}).values())
        lines.append(f"By class: {by_class}{f', {others:,} not told apart' if others > 0 else ''}")
    if counts.suppressed:
        lines.append(f"{counts.suppressed:,} on the suppression list, not mailed")
    if counts.unknown:
        lines.append(f"{counts.unknown:,} unknown, not sent again; see them with --mode list-unknown")
    if left := counts.total - counts.processed:
        lines.append(f"{left:,} recipients not sent; --mode resume sends them")
    each, speed = (1000 * seconds / done_here, done_here / seconds) if done_here and seconds > 0 else (0.0, 0.0)
    lines.append(
        f"Completed in {seconds / 60:.1f} minutes (average {each:.{0 if each >= 10 or not each else 2}f} ms per "
        f"recipient{f', {say_rate(speed)}' if speed else ''})"
    )
    return lines


def say_classes(classes: Mapping[str, int]) -> str:
    """`12 no-such-user, 3 mailbox-full`, the most frequent first."""
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(classes.items(), key=lambda pair: (-pair[1], pair[0])))


def say_rate(rate: float) -> str:
    return f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"


def say_seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
