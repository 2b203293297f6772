"""Prometheus' Alertmanager: an alert for each alarm, renewed while it stands, ended with the same labels."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.notify.posting import Posting
from backends.notify.words import about, facts, same, words
from opsconsole.config import duration
from opsconsole.settings import Notify

STANDS_FOR = timedelta(hours=24)
"""An alert ends by itself only so long after it was last renewed: a dead watcher must not look like all is well."""
HAPPENED_FOR = timedelta(hours=1)
"""So long an alert about something that merely happened is shown."""


class Alertmanager:
    """POSTs to /api/v2/alerts. The same labels are the same alert, so repeating is harmless."""

    def __init__(self, name: str, settings: Notify) -> None:
        if not settings.endpoint:
            raise ValueError("alertmanager needs an endpoint")
        self.name = f"notify:{name}"
        self._url = f"{settings.endpoint.rstrip('/')}/api/v2/alerts"
        self._link = settings.link
        seconds = duration(settings.timeout).total_seconds()
        self._posting = Posting(f"Alertmanager {self.name}", seconds, "Its endpoint is in its table")

    def check(self) -> None:
        """Raises Refused when its endpoint can't be used; tells nobody."""
        self._posting.check(self._url)

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        self._post([self._alert(payload, datetime.now(UTC))])

    def renew(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """These alarms still stand: Alertmanager forgets what it isn't told again, when it is started anew."""
        now = datetime.now(UTC)
        if alerts := [self._alert(payload, now) for payload in payloads]:
            self._post(alerts)

    def beat(self, environment: str, lasts: timedelta) -> None:
        """The alert Watchdog, which fires while all is well; who misses it knows that nobody watches."""
        now = datetime.now(UTC)
        labels = {"alertname": "Watchdog", "environment": environment, "severity": "none", "service": "opsconsole"}
        says = {"summary": f"{environment}: opsconsole watch is looking"}
        self._post([{"labels": labels, "annotations": says, **self._link_of(), "endsAt": _iso(now + lasts)}])

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        self._posting.ask("POST", self._url, json=alerts)

    def _alert(self, payload: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        alarm, fields, (title, text) = about(payload), facts(payload), words(payload)
        labels = {
            "alertname": "CampaignNeedsAttention" if alarm else "CampaignEvent",
            "service": "opsconsole",
            "environment": fields.get("environment", ""),
            "campaign": fields.get("campaign", ""),
            "status": fields.get("status", ""),
            "severity": str(payload.get("severity", "warning")),
            "key": alarm.key if alarm else same(payload),
        }
        if alarm is None:
            ends = now + HAPPENED_FOR
        else:
            ends = _instant(alarm.until, now) if alarm.ends else now + STANDS_FOR
        starts = {"startsAt": alarm.since} if alarm and alarm.since else {}
        return {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {"summary": title, "description": text},
            **self._link_of(),
            **starts,
            "endsAt": _iso(ends),
        }

    def _link_of(self) -> dict[str, str]:
        return {"generatorURL": self._link} if self._link else {}


def _instant(text: str, now: datetime) -> datetime:
    """Never in the future: that would be an alert that still stands."""
    try:
        return min(datetime.fromisoformat(text), now)
    except (ValueError, TypeError):
        return now


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")
