"""Decisions a person takes about a campaign: approve, hold, release, mark, reschedule, cancel.

Each is one record, with a reason, and is told to the dashboard through the outbox.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from opsconsole.audit.records import Outgoing, Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import EVERYTHING, GLOBAL
from opsconsole.ports import Refused
from opsconsole.runs import Identity
from opsconsole.schedule import ScheduleError, resolve_due
from opsconsole.verdict import Verdict

STATUS_OF = {"mark": "sent", "cancel": "cancelled", "reschedule": "approved"}


class Decisions:
    """Records decisions; authorizing them is the console's work, before it comes here."""

    def __init__(
        self, store: Callable[[], AuditStore], identity: Identity, destinations: tuple[str, ...] = ()
    ) -> None:
        self._store, self._identity, self._destinations = store, identity, destinations

    def approve(self, verdict: Verdict, reason: str) -> Record:
        """Approve the content as it lies on the carrier now; the approval names its digest."""
        content = next((o.content for o in verdict.observations if o.keeps_traces and o.content), None)
        if content is None or not content.digest:
            raise Refused(
                "There is no content to approve.",
                "The host was not read, or files are missing.",
                "Look at its files.",
            )
        return self._record("approve", verdict, reason, digest=content.digest, recipients=content.rows)

    def hold(self, scope: str, reason: str) -> Record:
        """Hold one campaign by its slug, or everything."""
        return self._store().note(self._identity.event("hold", _campaign(scope), "", reason, scope=scope))

    def release(self, scope: str, reason: str) -> Record:
        return self._store().note(self._identity.event("release", _campaign(scope), "", reason, scope=scope))

    def mark(self, verdict: Verdict, reason: str) -> Record:
        """It went out, on the evidence named in `reason`."""
        return self._record("mark", verdict, reason, was=str(verdict.status), why=verdict.why)

    def cancel(self, verdict: Verdict, reason: str) -> Record:
        return self._record("cancel", verdict, reason, was=str(verdict.status), why=verdict.why)

    def reschedule(self, verdict: Verdict, local: str, now: datetime, reason: str) -> Record:
        """A new due time, as local text in the campaign's zone. Raises Refused for gaps, doubles and the past."""
        zone = verdict.details.zone
        if not zone:
            raise Refused(
                "The campaign has no time zone.", "A local time means nothing without one.", "Add timezone."
            )
        try:
            due = resolve_due(local, zone)
        except ScheduleError as error:
            raise Refused(str(error), "Nothing was changed.") from error
        if due.instant <= now:
            raise Refused(f"{local} {zone} has passed already.", "Nothing was changed.", "Choose a time to come.")
        return self._record("reschedule", verdict, reason, due=due.instant.isoformat(), zone=zone, local=due.text)

    def _record(self, action: str, verdict: Verdict, reason: str, **detail: Any) -> Record:
        event = self._identity.event(action, verdict.slug, "", reason, **detail)
        return self._store().note(event, outbox=self._news(action, verdict, reason, detail))

    def _news(self, action: str, verdict: Verdict, reason: str, detail: dict[str, Any]) -> tuple[Outgoing, ...]:
        if action not in STATUS_OF:
            return ()
        store = self._store()
        key = f"{verdict.slug}:{action}:{store.head().seq + 1}"
        payload = {
            "slug": verdict.slug,
            "run_id": key,
            "status": STATUS_OF[action],
            "decided": action,
            "reason": reason,
            "operator": self._identity.operator,
            "session": self._identity.session,
            **({"due": detail["due"], "zone": detail["zone"]} if action == "reschedule" else {}),
        }
        return tuple(Outgoing(name, key, payload) for name in self._destinations)


def _campaign(scope: str) -> str:
    return GLOBAL if scope == EVERYTHING else scope
