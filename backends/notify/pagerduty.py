"""PagerDuty's Events API v2: an incident for each alarm, resolved with the same key."""

from collections.abc import Mapping
from typing import Any

from backends.notify.posting import Posting, asked
from backends.notify.words import about, facts, same, words
from backends.secret import Secret
from opsconsole.config import duration
from opsconsole.settings import Notify

EVENTS = "https://events.pagerduty.com/v2/enqueue"
LONGEST_KEY = 255
LONGEST_SUMMARY = 1024


class PagerDuty:
    """Triggers and resolves. What merely happened is an incident that a person closes."""

    def __init__(self, name: str, settings: Notify) -> None:
        if settings.routing_key is None:
            raise ValueError("pagerduty needs a routing_key")
        self.name = f"notify:{name}"
        self._endpoint, self._link = settings.endpoint or EVENTS, settings.link
        self._key = Secret(settings.routing_key, f"routing key of {name}")
        seconds = duration(settings.timeout).total_seconds()
        self._posting = Posting(f"pager {self.name}", seconds, f"Its routing key comes from {self._key.where}")

    def check(self) -> None:
        """Raises Refused when its key can't be had; tells nobody."""
        self._key.reveal()
        self._posting.check(self._endpoint)

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        asked(self._posting, self._key, "POST", self._endpoint, json=self._event(payload))

    def _event(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        alarm, (title, text) = about(payload), words(payload)
        key = alarm.key if alarm else same(payload)
        event: dict[str, Any] = {
            "routing_key": self._key.reveal(),
            "event_action": "resolve" if alarm and alarm.ends else "trigger",
            "dedup_key": key if len(key) <= LONGEST_KEY else same({"key": key}),
        }
        if event["event_action"] == "resolve":
            return event
        fields = facts(payload)
        event["client"] = "opsconsole"
        if self._link:
            event["client_url"] = self._link
        event["payload"] = {
            "summary": title[:LONGEST_SUMMARY],
            "source": fields.get("campaign") or fields.get("environment") or "opsconsole",
            "severity": payload.get("severity", "warning"),
            **({"timestamp": alarm.since} if alarm and alarm.since else {}),
            "group": fields.get("environment", ""),
            "class": fields.get("status", ""),
            "custom_details": {**fields, "text": text},
        }
        return event
