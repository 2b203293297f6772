"""Mail that belongs to no campaign: what the kept log tells of transactional mail that failed. Pure.

listmonk neither counts nor logs those that it sent, so the rate is one of time: so many failed in the last hour.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.kept import Entry
from backends.listmonk.loglines import error_class, other_mail

WITHIN: Final = timedelta(hours=1)


def other_mail_trouble(entries: Iterable[Entry], now: datetime) -> str:
    """One sentence for the board; "" when none failed within the last hour."""
    failed = [
        (entry.at, why)
        for entry in entries
        if now - WITHIN <= entry.at <= now + timedelta(minutes=5) and (why := other_mail(entry.text)) is not None
    ]
    if not failed:
        return ""
    kinds = Counter(error_class(why) for _, why in failed).most_common(4)
    classes = ", ".join(f"{number:,} × {name}" for name, number in kinds)
    at, why = failed[-1]
    many = f"{len(failed):,} mail{'s' if len(failed) > 1 else ''} of no campaign (transactional, opt-in)"
    last = f"the last {at:%H:%M:%S} UTC: {why[:200]}"
    return f"{many} failed in the last hour: {classes}; {last}. listmonk doesn't try again."
