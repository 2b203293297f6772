"""When cron starts a line, in the zone of its host, through changes of the clocks; and in words.

cronsim gives the wall-clock times of a schedule; the rules by which Debian's cron turns those into starts
are here, because cron may start several missed times in one minute. The datetimes passed in must be aware
and in the host's zone, which decides when jobs run; fires are UTC, because in the hour that comes twice
datetimes of a zone don't compare rightly. A line that is not enabled, or is `@reboot`, has none.
"""

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile

from cronsim import CronSim
from cronsim.explain import Expression

from opsconsole.cronsyntax import CronLine, parse_schedule

_CATCH_UP = timedelta(hours=3)  # cron treats a jump of three hours or more as a new clock setting
_MINUTE = timedelta(minutes=1)
_LOOK_AHEAD_DAYS = 400


def next_fire(line: CronLine, now_host: datetime) -> datetime | None:
    """The first start after `now_host`, or None if there is none within 50 years."""
    return next(_starts(line, now_host, forward=True), None)


def previous_fire(line: CronLine, now_host: datetime) -> datetime | None:
    """The last start at or before `now_host`, or None."""
    return next(_starts(line, now_host, forward=False), None)


def fires(line: CronLine, start: datetime, end: datetime) -> list[datetime]:
    """Every start after `start` and up to and including `end`, one entry for each process cron starts.

    After a jump of the clocks cron starts missed times together, so an instant may be there several times.
    """
    return list(takewhile(lambda fire: _utc(fire) <= _utc(end), _starts(line, start, forward=True)))


def fires_again(line: CronLine, after: datetime) -> datetime | None:
    """When a line that has done its work starts again: cron has no year, so a one-off comes back."""
    return next_fire(line, after)


def in_words(line: CronLine) -> str:
    """The schedule in plain English, with Debian's reading of day of month and day of week."""
    rule = parse_schedule(line.schedule)
    if rule.reboot:
        return "When the host starts"
    if not rule.expression:
        return "Never"
    words = Expression(rule.expression.split())
    _, _, day, _, weekday = rule.expression.split()
    if day.startswith("*") or weekday.startswith("*"):
        return words.explain()
    time, _ = words.translate_time()
    months = "" if words.month.star else f", {words.month}"
    text = f"{time} {words.day}, and also {words.dow}{months}"
    return text[0].upper() + text[1:]


def dst_warning(line: CronLine, zone: tzinfo, now: datetime) -> str:
    """What the next change of the clocks in `zone` does to this line, or "" when it is not touched."""
    rule = parse_schedule(line.schedule)
    change = _next_change(zone, now)
    if not rule.expression or change is None:
        return ""
    instant, old, new = change
    wall_old, wall_new = _wall(instant, old), _wall(instant, new)
    low, high = sorted((wall_old, wall_new))
    found = list(takewhile(lambda wall: wall < high, CronSim(rule.expression, low - timedelta(seconds=1))))
    if not found:
        return ""
    times = ", ".join(f"{wall:%H:%M}" for wall in found[:4]) + (", …" if len(found) > 4 else "")
    where = getattr(zone, "key", None) or str(zone)
    moves = "jump" if new > old else "go back"
    night = f"{wall_old:%a} {wall_old.day} {wall_old:%b %Y}"
    opening = f"On {night} the clocks of {where} {moves} from {wall_old:%H:%M} to {wall_new:%H:%M}: "
    if new < old:
        if rule.follows_clock or old - new > _CATCH_UP:
            return f"{opening}cron starts this line twice at {times}."
        comes = "comes" if len(found) == 1 else "come"
        return f"{opening}{times} {comes} twice, cron starts this line the first time only."
    if rule.follows_clock or new - old >= _CATCH_UP:
        return f"{opening}cron skips {times}."
    together = len(found) + (wall_new == next(CronSim(rule.expression, wall_new - _MINUTE), None))
    if together == 1:
        return f"{opening}there is no {times}, cron starts this line at {wall_new:%H:%M} instead."
    return f"{opening}there is no {times}, cron starts this line {together} times at {wall_new:%H:%M}."


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("cron times need an aware datetime in the host's zone, got one without a zone")
    return moment.astimezone(UTC)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _wall(moment: datetime, offset: timedelta) -> datetime:
    return (moment + offset).replace(tzinfo=None)


def _starts(line: CronLine, now: datetime, *, forward: bool) -> Iterator[datetime]:
    """Starts after `now`, earliest first; or starts at or before it, latest first."""
    rule = parse_schedule(line.schedule)
    moment, zone = _utc(now), now.tzinfo
    if not (line.enabled and rule.expression) or zone is None:
        return
    sign = 1 if forward else -1
    # When the clocks go back, walls already passed come again: begin that much earlier (or later).
    offsets = (_offset(moment, zone), _offset(moment + sign * timedelta(days=1), zone))
    begin = _wall(moment, min(offsets) if forward else max(offsets)).replace(second=0, microsecond=0)
    walls = CronSim(rule.expression, begin - sign * _MINUTE, reverse=not forward)
    waiting: list[float] = []

    def release() -> datetime:
        return datetime.fromtimestamp(sign * heapq.heappop(waiting), UTC)

    for wall in walls:
        instants = [sign * each.timestamp() for each in _instants(wall, zone, rule.follows_clock)]
        # The first pass of later walls can only be later still, so what is before it is settled.
        while waiting and instants and waiting[0] <= min(instants):
            yield release()
        for each in instants:
            if each > moment.timestamp() if forward else each >= -moment.timestamp():
                heapq.heappush(waiting, each)
    while waiting:
        yield release()


def _instants(wall: datetime, zone: tzinfo, follows_clock: bool) -> list[datetime]:
    """The instants at which cron starts a job for the wall-clock time `wall`: none, one or two."""
    before = wall.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    after = wall.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    aware = wall.replace(tzinfo=UTC)
    if before == after:
        return [aware - before]
    if before > after:  # the hour that comes twice
        once = not follows_clock and before - after <= _CATCH_UP
        return [aware - before] if once else [aware - before, aware - after]
    if follows_clock or after - before >= _CATCH_UP:  # the hour that does not come
        return []
    return [_bisect(zone, aware - after, aware - before)]


def _bisect(zone: tzinfo, low: datetime, high: datetime) -> datetime:
    """The instant (to the second) between `low` and `high` at which the zone's offset changes."""
    old = _offset(low, zone)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(middle, zone) == old else (low, middle)
    return high


@lru_cache(maxsize=16)  # the same for every line of a table
def _next_change(zone: tzinfo, now: datetime) -> tuple[datetime, timedelta, timedelta] | None:
    day = _utc(now).replace(microsecond=0)
    for _ in range(_LOOK_AHEAD_DAYS):
        following = day + timedelta(days=1)
        old, new = _offset(day, zone), _offset(following, zone)
        if old != new:
            return _bisect(zone, day, following), old, new
        day = following
    return None
