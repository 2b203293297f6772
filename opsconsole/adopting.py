"""Taking over a run that others started: a new record of what is known of it, and of its end. Nothing is edited."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from opsconsole.audit.records import Outgoing, Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ADOPT
from opsconsole.foreign import others_runs, to_adopt
from opsconsole.observation import Observation, RunWord, Says
from opsconsole.ports import RunState
from opsconsole.runs import Identity, completion, ended_detail
from opsconsole.verdict import Verdict


class Adoptions:
    """Records adoptions. `destinations(slug)` are told of a run's end as of one that this console started."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        identity: Identity,
        destinations: Callable[[str], tuple[str, ...]] = lambda slug: (),
    ) -> None:
        self._store, self._identity, self._destinations = store, identity, destinations

    def adopt(self, verdict: Verdict, reason: str, now: datetime) -> Record:
        """Take over the run of a carrier that this store doesn't know. Raises Refused where none can be named."""
        o, run, at = to_adopt(verdict.observations, now)
        detail = _detail(verdict, o, run, at)
        return self._note(verdict.slug, run, reason, detail, self._identity.operator)

    def record_end(self, verdict: Verdict, now: datetime) -> Record | None:
        """The end of a run that was adopted while it was going, once its carrier tells it."""
        for o, adopted in others_runs(verdict.observations, now):
            if adopted and not adopted.ended and o.says is Says.ENDED and o.run:
                detail = _detail(verdict, o, o.run, adopted.began)
                detail |= {"adopted_by": adopted.by, "adopted_at": adopted.at.isoformat()}
                return self._note(verdict.slug, o.run, "", detail, adopted.by)
        return None

    def _note(self, slug: str, run: RunWord, reason: str, detail: dict[str, Any], by: str) -> Record:
        event = self._identity.event(ADOPT, slug, run.run_id, reason, **detail)
        return self._store().note(event, outbox=self._news(slug, run, detail, by))

    def _news(self, slug: str, run: RunWord, detail: dict[str, Any], by: str) -> tuple[Outgoing, ...]:
        if detail["result"] != "ended":
            return ()
        end = run.run_id or f"{slug}:{detail['source']}:{detail['began']}"
        note = f"run on {detail['source']}{f' by {run.by}' if run.by else ''}, adopted by {by}"
        me = self._identity
        who = {"environment": me.environment, "session": me.session, "operator": by, "note": note}
        return completion(slug, end, detail, self._destinations(slug), **who)


def _detail(verdict: Verdict, o: Observation, run: RunWord, at: datetime) -> dict[str, Any]:
    """What is known of it now, in the shape of an end that this console saw."""
    state = RunState(slug=verdict.slug, run_id=run.run_id, attempt=run.attempt, says=o.says, word=run)
    content = next((other.content.digest for other in verdict.observations if other.content), "")
    known = {
        **ended_detail(state),
        "source": o.source,
        "run_id": run.run_id,
        "attempt": run.attempt,
        "run_by": run.by,
        "began": at.isoformat(),
        "says": str(o.says),
        "note": run.note,
        "content": content,  # as it lies there now
    }
    if o.says is not Says.ENDED:
        return known | {"result": "going", "status": "", "counts": asdict(run.counts) if run.counts else None}
    if run.counts is None:  # without counts, a foreign runner's exit code is all there is, and none is no failure
        known["status"] = "sent" if o.went_out else "failed"
    return known
