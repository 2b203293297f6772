"""What other people are told of a record, in words, with the audit head: a message kept is an anchor too. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.audit.records import Outgoing, Phase, Record
from opsconsole.redact import JSON

INFO, WARNING, CRITICAL = "info", "warning", "critical"
SEVERITIES = (INFO, WARNING, CRITICAL)
ATTENTION, SEND, DECISION, SAFETY = "attention", "send", "decision", "safety"
"""The events of which others are told: `on` in the configuration."""
PREFIX = "notify:"
"""The destinations that are told: `notify:NAME`."""


@dataclass(frozen=True, slots=True)
class Ear:
    """One who is told: `notify:NAME`, of which events, and from which severity on."""

    name: str
    on: frozenset[str] = frozenset({ATTENTION, SEND, DECISION, SAFETY})
    at_least: str = INFO

    @property
    def destination(self) -> str:
        return f"{PREFIX}{self.name}"

    def hears(self, event: str, severity: str) -> bool:
        return event in self.on and SEVERITIES.index(severity) >= SEVERITIES.index(self.at_least)


def tidings(record: Record, ears: Iterable[Ear]) -> tuple[Outgoing, ...]:
    """One item for each of `ears` that wants to hear of this record; none when nobody needs to."""
    said = _say(record)
    if said is None:
        return ()
    severity, what = said
    payload = message(
        severity,
        what,
        campaign=record.campaign,
        environment=record.environment,
        run=record.run,
        reason=record.reason,
    )
    fields = {**payload["fields"], "operator": record.operator, "session": record.session}  # type: ignore[dict-item]
    payload = {**payload, "fields": fields, **head(record.seq, record.mac)}
    event = _EVENTS.get(record.action, SEND)
    heard = [ear.destination for ear in ears if ear.hears(event, severity)]
    return tuple(Outgoing(destination, f"{destination}:{record.mac}", payload) for destination in heard)


_EVENTS = {
    "settle": DECISION,
    "release-claim": DECISION,
    "close": DECISION,
    "host-accepted": DECISION,
    "install-runner": DECISION,
    "break-glass": SAFETY,
}


def message(
    severity: str, what: str, *, campaign: str = "", environment: str = "", run: str = "", reason: str = ""
) -> dict[str, JSON]:
    """`severity`, `title` (one line), `text` (for people) and `fields` (for machines)."""
    where = f"{environment}: " if environment else ""
    about = f"{campaign}: " if campaign else ""
    because = f": {reason}" if reason else ""
    fields = {"campaign": campaign, "environment": environment, "run": run, "reason": reason}
    return {
        "environment": environment,
        "severity": severity,
        "title": f"{where}{about}{what}",
        "text": f"{where}{about}{what}{because}",
        "fields": {name: value for name, value in fields.items() if value},
    }


def head(seq: int, mac: str) -> dict[str, JSON]:
    """How a message carries the audit head."""
    return {"audit": {"seq": seq, "mac": mac}}


def _say(record: Record) -> tuple[str, str] | None:
    detail, by = record.detail, record.operator
    match record.action, record.phase:
        case "send-started", Phase.NOTE if not detail.get("joined"):
            return INFO, f"a send started, by {by}"
        case "send-unclear", Phase.NOTE:
            return CRITICAL, f"a send by {by} may have started: its answer was lost"
        case "send" | "send-rest", Phase.OUTCOME if detail.get("result") == "ended":
            whole = detail.get("status") == "sent"
            return (INFO if whole else WARNING), f"the send ended {detail.get('status')}{_counts(detail)}"
        case "settle", Phase.OUTCOME if detail.get("result") == "done":
            return WARNING, f"{by} decided who is unknown{_left(detail)}"
        case "release-claim", Phase.OUTCOME if detail.get("result") in ("released", "done"):
            return WARNING, f"{detail.get('by') or by} gave the claim back: another attempt may be made"
        case "close", Phase.NOTE:
            return WARNING, f"{by} closed it as it is: whoever is left gets nothing"
        case "break-glass", Phase.NOTE:
            return CRITICAL, f"{by} does without a second person until {_clock(detail.get('expires'))}"
        case "host-accepted", Phase.NOTE:
            return WARNING, f"{by} accepted {detail.get('host')} as it is, after it lost or changed its records"
        case "install-runner", Phase.OUTCOME if detail.get("result") == "done":
            what = "put the former runner back on" if detail.get("undo") else "installed a runner on"
            return WARNING, f"{by} {what} {detail.get('host')}: {detail.get('path')}"
    return None


def _counts(detail: Mapping[str, Any]) -> str:
    counts = detail.get("counts")
    if not isinstance(counts, Mapping):
        return f" (exit code {detail.get('rc')}, no counts)"
    words = [f"{counts.get('accepted', 0):,} accepted"]
    words += [
        f"{counts[name]:,} {name}" for name in ("failed", "unknown", "deferred", "suppressed") if counts.get(name)
    ]
    total = counts.get("total")
    return f": {', '.join(words)}" + (f" of {total:,}" if isinstance(total, int) else "")


def _left(detail: Mapping[str, Any]) -> str:
    return f": {detail.get('unsent', 0)} unsent and {detail.get('unknown', 0)} unknown are left"


def _clock(value: Any) -> str:
    return f"{value[11:16]} UTC" if isinstance(value, str) and len(value) > 16 else "further notice"
