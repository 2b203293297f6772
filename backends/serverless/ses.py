"""What SES says of the account: quota, rate, whether it may send, and how many addresses it mails no more.

SES v2 tells everything in one call; v1's quota stands in where that isn't allowed or isn't there. Both are meant to
be asked about once a second in all, so the source asks once a minute.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from backends.serverless.aws import Aws, Meter
from backends.serverless.troubles import CantDo, Denied

SUPPRESSED_PAGE: Final = 1000
SUPPRESSED_PAGES: Final = 5
HEALTHY: Final = "HEALTHY"
UNLIMITED: Final = -1.0  # what SES says of an account without a quota


@dataclass(frozen=True, slots=True)
class Account:
    """Quotas are messages in 24 hours and messages a second. None where SES's version doesn't tell.

    `per_day` is None also for an account without a quota. `enforcement` is HEALTHY, PROBATION or SHUTDOWN.
    `lacks` says why v2 wasn't heard, "" when it was.
    """

    per_day: float | None = None
    per_second: float | None = None
    sent: float | None = None
    enabled: bool | None = None
    production: bool | None = None
    enforcement: str = ""
    lacks: str = ""

    @property
    def left(self) -> float | None:
        """How many may still be sent in these 24 hours."""
        if self.per_day is None or self.sent is None:
            return None
        return max(self.per_day - self.sent, 0.0)

    @property
    def used(self) -> float | None:
        """The share of the quota that is used; 1 and above: nothing goes out any more."""
        if self.per_day is None or self.sent is None or self.per_day <= 0:
            return None
        return self.sent / self.per_day

    def runs_out(self, rate: float | None, now: datetime) -> datetime | None:
        """When the quota ends at `rate` messages a second; None where that can't be told or is a day away.

        What was sent a day ago comes free again, so further ahead than the window nothing is known.
        """
        if not rate or self.left is None or self.left / rate > 86_400:
            return None
        return now + timedelta(seconds=self.left / rate)


def account(aws: Aws, meter: Meter | None = None) -> Account:
    """By v2, else by v1. Raises Trouble when neither tells."""
    try:
        return by_v2(aws, meter)
    except (Denied, CantDo) as error:
        return replace(by_v1(aws, meter), lacks=str(error))


def by_v2(aws: Aws, meter: Meter | None = None) -> Account:
    answer = aws.ask("sesv2", "get_account", meter=meter)
    return replace(
        _quota(answer.get("SendQuota", {})),
        enabled=_flag(answer, "SendingEnabled"),
        production=_flag(answer, "ProductionAccessEnabled"),
        enforcement=str(answer.get("EnforcementStatus", "")),
    )


def by_v1(aws: Aws, meter: Meter | None = None) -> Account:
    return _quota(aws.ask("ses", "get_send_quota", meter=meter))


def suppressed(aws: Aws, meter: Meter | None = None, pages: int = SUPPRESSED_PAGES) -> tuple[int, bool]:
    """How many addresses are on the account's suppression list, and whether that is all of them. Raises Trouble."""
    count, whole = 0, True
    for number, page in enumerate(_listed(aws, meter), 1):
        count += len(page.get("SuppressedDestinationSummaries", ()))
        if number == pages:
            whole = not page.get("NextToken")
            break
    return count, whole


def _listed(aws: Aws, meter: Meter | None) -> Iterator[dict[str, Any]]:
    after: dict[str, Any] = {}
    while True:
        page = aws.ask("sesv2", "list_suppressed_destinations", meter=meter, PageSize=SUPPRESSED_PAGE, **after)
        yield page
        if not page.get("NextToken"):
            return
        after = {"NextToken": page["NextToken"]}


def _quota(answer: Mapping[str, Any]) -> Account:
    per_day = _number(answer, "Max24HourSend")
    return Account(
        per_day=None if per_day == UNLIMITED else per_day,
        per_second=_number(answer, "MaxSendRate"),
        sent=_number(answer, "SentLast24Hours"),
    )


def _number(answer: Mapping[str, Any], name: str) -> float | None:
    value = answer.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(answer: Mapping[str, Any], name: str) -> bool | None:
    value = answer.get(name)
    return value if isinstance(value, bool) else None
