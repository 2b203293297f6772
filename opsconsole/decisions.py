"""Decisions a person takes about a campaign: approve, hold, release, mark, close, reschedule, cancel, break-glass.

Each is one record, with a reason and what it rests on, and is told to the dashboard through the outbox.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from opsconsole.audit.records import Outgoing, Record
from opsconsole.audit.scopes import EVERYTHING, HOST, hold_key
from opsconsole.audit.store import AuditStore
from opsconsole.grounds import Ground
from opsconsole.observation import Content
from opsconsole.ports import Refused
from opsconsole.proof import Proof
from opsconsole.runs import Identity
from opsconsole.schedule import FOLDS, Due, ScheduleError, resolve_due
from opsconsole.tzdata import tzdata_version
from opsconsole.verdict import Verdict

STATUS_OF = {"mark": "sent", "cancel": "cancelled", "reschedule": "approved", "close": "partial"}


class Decisions:
    """Records decisions; authorizing them is the console's work, before it comes here."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        identity: Identity,
        destinations: Callable[[str], tuple[str, ...]] = lambda slug: (),
        keepers: tuple[str, ...] = (),
    ) -> None:
        self._store, self._identity, self._destinations = store, identity, destinations
        self._keepers = keepers

    def approve(self, verdict: Verdict, reason: str, expires: datetime) -> Record:
        """Approve the content as it lies on the carrier now, until `expires`; the approval names its digest."""
        content = _content(verdict)
        detail = {"digest": content.digest, "recipients": content.rows, "expires": expires.isoformat()}
        due = verdict.details.due
        detail["due"] = due.instant.isoformat() if due else None  # when it moves, the approval no longer counts
        return self._record("approve", verdict, reason, **detail)

    def break_glass(self, verdict: Verdict, reason: str, now: datetime, valid_for: timedelta) -> Record:
        """Do without the second person, for this content, for so long. The store tells others of it."""
        content, expires = _content(verdict), now + valid_for
        detail = {"digest": content.digest, "recipients": content.rows, "expires": expires.isoformat()}
        return self._record("break-glass", verdict, reason, **detail)

    def hold(self, scope: str, reason: str) -> Record:
        """Hold one campaign by its slug, one carrier as `host:NAME`, or `everything`."""
        return self._holding("hold", scope, reason)

    def release(self, scope: str, reason: str) -> Record:
        return self._holding("release", scope, reason)

    def _holding(self, action: str, scope: str, reason: str) -> Record:
        """The hosts hear of it through the outbox; what they are told is what the store says by then."""
        event = self._identity.event(action, hold_key(scope), "", reason, scope=scope)
        hosts = [host for host in self._keepers if not scope.startswith(HOST) or scope == f"{HOST}{host}"]
        here = self._identity.environment
        payload: dict[str, Any] = {"environment": here, "scope": scope, "released": action == "release"}
        key = f"{scope}:{secrets.token_hex(8)}"
        told = tuple(Outgoing(f"hold:{host}", f"hold:{host}:{key}", payload) for host in hosts)
        if scope != EVERYTHING and not scope.startswith(HOST):
            told += self._news(action, scope, reason, {})
        return self._store().note(event, outbox=told)

    def mark(self, verdict: Verdict, reason: str, evidence: Sequence[Ground]) -> Record:
        """It went out, on this evidence (none: on the operator's word). Whatever was open for it ends with that."""
        lines = [ground.record() for ground in evidence]
        record = self._record("mark", verdict, reason, was=str(verdict.status), why=verdict.why, evidence=lines)
        self._resolve_open(verdict.slug, record)
        return record

    def close(self, verdict: Verdict, reason: str, left: int | None) -> Record:
        """It stays as it is; `left` were not reached and get nothing (None: nobody knows how many)."""
        run = verdict.run.run_id if verdict.run else ""
        record = self._record("close", verdict, reason, was=str(verdict.status), run_id=run, left=left)
        self._resolve_open(verdict.slug, record)
        return record

    def cancel(self, verdict: Verdict, reason: str, proof: Proof) -> Record:
        """It will not be sent, and `proof` says that nothing will start it by itself."""
        was = str(verdict.status)
        return self._record("cancel", verdict, reason, was=was, why=verdict.why, proof=proof.record())

    def _resolve_open(self, slug: str, decision: Record) -> None:
        store, identity = self._store(), self._identity
        for intent in store.unresolved(identity.environment):
            if intent.campaign == slug:
                because = f"{decision.action} by {decision.operator} (record {decision.seq}): {decision.reason}"
                store.resolve(intent, identity.event("", slug, intent.run, because))

    def reschedule(self, verdict: Verdict, due: Due, reason: str) -> Record:
        """A new due time, as `new_due` gave it. What it was worked out from and by is kept beside the instant."""
        word = due.text.rpartition(" ")[2]
        before = verdict.details.due.instant.isoformat() if verdict.details.due else None
        return self._record(
            "reschedule",
            verdict,
            reason,
            due=due.instant.isoformat(),
            zone=due.zone,
            local=due.text,
            fold=FOLDS.index(word) if word in FOLDS else None,
            tzdata=tzdata_version(),
            before=before,
        )

    def _record(self, action: str, verdict: Verdict, reason: str, **detail: Any) -> Record:
        event = self._identity.event(action, verdict.slug, "", reason, **detail)
        told = self._news(action, verdict.slug, reason, detail) if action in STATUS_OF else ()
        return self._store().note(event, outbox=told)

    def _news(self, action: str, slug: str, reason: str, detail: dict[str, Any]) -> tuple[Outgoing, ...]:
        """For the dashboard; without a `status` where what it calls the campaign's doesn't change."""
        key = f"{slug}:{action}:{secrets.token_hex(8)}"
        payload: dict[str, Any] = {
            "environment": self._identity.environment,
            "slug": slug,
            "run_id": key,
            "decided": action,
            "reason": reason,
            "operator": self._identity.operator,
            "session": self._identity.session,
            **{name: detail[name] for name in ("due", "zone", "evidence", "proof") if name in detail},
        }
        if action in STATUS_OF:
            payload["status"] = "sent" if detail.get("left") == 0 else STATUS_OF[action]
        return tuple(Outgoing(name, f"{name}:{key}", payload) for name in self._destinations(slug))


def new_due(verdict: Verdict, local: str, now: datetime, fold: int | None = None) -> Due:
    """The due time that `local` means in the campaign's zone; of a doubled one `fold` 0 is the first, 1 the next.

    Raises Refused for a gap (naming both neighbours), a doubled time without a choice, and the past.
    """
    zone = verdict.details.zone
    if not zone:
        raise Refused("The campaign has no time zone.", "A local time means nothing without one.", "Add timezone.")
    try:
        due = resolve_due(local, zone, fold)
    except ScheduleError as error:
        raise Refused(str(error), "Nothing was changed.") from error
    if due.instant <= now:
        raise Refused(f"{local} {zone} has passed already.", "Nothing was changed.", "Choose a time to come.")
    return due


def _content(verdict: Verdict) -> Content:
    content = next((o.content for o in verdict.observations if o.keeps_traces and o.content), None)
    if content is None or not content.digest:
        raise Refused(
            "There is no content to approve.",
            "The host was not read, or files are missing.",
            "Look at its files.",
        )
    return content
