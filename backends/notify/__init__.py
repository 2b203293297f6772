"""Tells people outside the console. Called from the outbox, which alone tries again.

Each message carries the audit head, so that a channel's history or a mailbox is one more copy of it.
"""

from backends.notify.alertmanager import Alertmanager
from backends.notify.email import Email
from backends.notify.heartbeat import Heartbeat
from backends.notify.pagerduty import PagerDuty
from backends.notify.webhook import Webhook
from backends.notify.words import words
from opsconsole.ports import Recorder
from opsconsole.settings import Notify

__all__ = ["Alertmanager", "Email", "Heartbeat", "PagerDuty", "Webhook", "notifier", "words"]


def notifier(name: str, settings: Notify) -> Recorder:
    """What tells `notify:NAME`. Its `record` takes `title`, `text`, `severity`, `fields`, the `audit` head, and for
    what begins and ends an `alarm`. It raises OutOfReach, or Refused when the same again would be refused again."""
    match settings.kind:
        case "webhook" | "slack":
            return Webhook(name, settings)
        case "email":
            return Email(name, settings)
        case "pagerduty":
            return PagerDuty(name, settings)
        case "alertmanager":
            return Alertmanager(name, settings)
