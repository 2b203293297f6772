"""The life of a run: intent, start, follow, control, end, and reconciling what was left open.

The audit store hears of a start before the carrier does, and of the end from the carrier's own records. Nothing
that could have sent mail is ever repeated here: when in doubt the carrier is asked (DESIGN §6.4, §6.5).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any

from opsconsole.audit.records import AuditUnavailable, Event, Outgoing, Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import SEND
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.ports import Carrier, Followed, MaybeStarted, OutOfReach, Refused, RunState, Started, Trouble, Verb
from opsconsole.schedule import say_span

ENDS = frozenset({Says.ENDED})
STARTING_FOR = timedelta(minutes=2)
"""So long a start by another console may be under way: its carrier's own time limits, and some more."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts: written into every record."""

    operator: str
    session: str
    environment: str

    def event(self, action: str, campaign: str = "", run: str = "", reason: str = "", **detail: Any) -> Event:
        return Event(
            operator=self.operator,
            session=self.session,
            environment=self.environment,
            action=action,
            campaign=campaign,
            run=run,
            reason=reason,
            detail=detail,
        )


class Runs:
    """Starts, follows and closes runs; one object a console, which knows the starts that are under way in it.

    `destinations` names the systems that must be told of an end. Once a carrier was asked, a store that fails hides
    nothing of what the carrier said: the intent then stays open, and is looked after later.
    """

    def __init__(
        self,
        store: Callable[[], AuditStore],
        carriers: Mapping[str, Carrier],
        identity: Identity,
        clock: Callable[[], datetime],
        destinations: tuple[str, ...] = (),
    ) -> None:
        self._store, self._carriers, self._identity = store, carriers, identity
        self._clock, self._destinations = clock, destinations
        self._starting: list[str] = []  # run ids, from before the intent until the carrier has answered

    def start(self, plan: Plan, reason: str = "") -> Started:
        """Record the intent, then start. Raises Trouble (nothing was sent) or MaybeStarted (ask, don't repeat)."""
        store, identity = self._store(), self._identity
        event = identity.event(
            SEND, plan.slug, plan.run_id, reason, plan=plan.document(), digest=plan.digest, carrier=plan.carrier
        )
        self._starting.append(plan.run_id)
        try:
            intent = store.intent(event)
            started = self._carriers[plan.carrier].start(plan, identity.operator)
        except MaybeStarted as error:
            self._note(identity.event("send-unclear", plan.slug, plan.run_id, error.what))
            raise
        except Trouble as error:
            # Every other trouble promises that nothing was sent (ports.Carrier), so the intent has its outcome.
            self._outcome(intent, identity.event(SEND, plan.slug, plan.run_id, str(error), result="not-started"))
            raise
        finally:
            self._starting.remove(plan.run_id)
        joined = not started.fresh
        self._note(identity.event("send-started", plan.slug, plan.run_id, joined=joined, attempt=plan.attempt))
        return started

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Flag, carrier: str
    ) -> Followed:
        """The log from `offset` until the run ends, whose end is then recorded, or `stop` is set."""
        followed = self._carriers[carrier].follow(slug, attempt, offset, on_output, stop)
        if followed.end is not None:
            with suppress(AuditUnavailable):  # the end is told all the same, and recorded by `reconcile`
                self.close(followed.end)
        return followed

    def signal(self, slug: str, attempt: int, verb: Verb, carrier: str, reason: str = "") -> RunState:
        """Pause, resume or cancel a run, with a record before and after."""
        store, identity = self._store(), self._identity
        event = identity.event(f"run-{verb}", slug, "", reason, attempt=attempt, carrier=carrier)
        intent = store.intent(event)
        try:
            state = self._carriers[carrier].signal(slug, attempt, verb)
        except Trouble as error:
            # A lost answer is none: whether the run was told isn't known.
            result = "failed" if isinstance(error, Refused | OutOfReach) else "unclear"
            self._outcome(intent, identity.event(f"run-{verb}", slug, "", str(error), result=result))
            raise
        done = identity.event(f"run-{verb}", slug, state.run_id, result="done", state=str(state.says))
        self._outcome(intent, done)
        return state

    def _note(self, event: Event) -> None:
        with suppress(AuditUnavailable):
            self._store().note(event)

    def _outcome(self, intent: Record, event: Event) -> None:
        with suppress(AuditUnavailable):
            self._store().outcome(intent, event)

    def close(self, state: RunState) -> Record | None:
        """Record the end of a run this console started, once, and put the news for others into the outbox."""
        if state.says not in ENDS:
            return None
        store = self._store()
        intent = self._open_intent(store, state.run_id)
        if intent is None:
            return None
        detail = ended_detail(state)
        event = self._identity.event(SEND, state.slug, state.run_id, **detail)
        return store.outcome(intent, event, outbox=self._news(state, intent, detail))

    def reconcile(self) -> tuple[str, ...]:
        """Look after every intent left open, by asking its carrier; says what was found. Repeats nothing.

        A carrier out of reach leaves the intent open.
        """
        found = []
        for intent in self._store().unresolved(self._identity.environment):
            if intent.action == SEND and intent.run not in self._starting:
                found.append(f"{intent.campaign}: {self._look_after(intent)}")
        return tuple(found)

    def _look_after(self, intent: Record) -> str:
        carrier = self._carriers.get(str(intent.detail.get("carrier", "")))
        if carrier is None:
            return f"its carrier is not in this configuration; record {intent.seq} stays open"
        plan = intent.detail.get("plan")
        attempt = plan.get("attempt") if isinstance(plan, Mapping) else None
        try:
            state = carrier.run_state(intent.campaign, attempt if isinstance(attempt, int) else None)
            if state is None or state.run_id != intent.run:
                age = self._clock() - intent.utc
                if intent.session != self._identity.session and timedelta(0) <= age < STARTING_FOR:
                    return f"{intent.operator} began it {say_span(age)} ago and may be starting it now"
                state = carrier.give_up(intent.campaign, intent.run)
        except Trouble as error:
            return f"can't be asked now ({error.what})"
        if state is None:
            note = "the carrier has no trace of this run and takes it no more: it was not started"
            event = self._identity.event(SEND, intent.campaign, intent.run, note, result="not-started")
            self._store().outcome(intent, event)
            return note
        if state.says in ENDS:
            self.close(state)
            return "ended while nobody watched; its end is recorded now"
        return f"it is {state.says} on {carrier.name}"

    def _open_intent(self, store: AuditStore, run_id: str) -> Record | None:
        records = store.for_run(run_id)
        closed = {r.ref for r in records if r.phase is Phase.OUTCOME}
        return next(
            (r for r in records if r.action == SEND and r.phase is Phase.INTENT and r.seq not in closed), None
        )

    def _news(self, state: RunState, intent: Record, detail: Mapping[str, Any]) -> tuple[Outgoing, ...]:
        payload = {
            "slug": state.slug,
            "run_id": state.run_id,
            "status": detail["status"],
            "completed_at": detail["ended_at"],
            "counts": detail["counts"],
            "duration_s": detail["duration_s"],
            "session": intent.session,
            "operator": intent.operator,
        }
        return tuple(Outgoing(name, f"{state.run_id}:completion", payload) for name in self._destinations)


def ended_detail(state: RunState) -> dict[str, Any]:
    """What is recorded of a run's end. `status` is sent, partial or failed; times are ISO texts."""
    word, counts = state.word, state.word.counts
    duration = None
    if word.started_at and word.ended_at:
        duration = round((word.ended_at - word.started_at).total_seconds(), 3)
    if counts is None:
        status = "sent" if word.rc == 0 else "failed"
    elif counts.accepted == 0 and counts.unknown == 0:
        status = "failed"
    else:
        whole = counts.failed == 0 and counts.unknown == 0 and counts.total in (None, counts.accepted)
        status = "sent" if whole else "partial"
    return {
        "result": "ended",
        "status": status,
        "rc": word.rc,
        "counts": asdict(counts) if counts else None,
        "started_at": word.started_at.isoformat() if word.started_at else None,
        "ended_at": word.ended_at.isoformat() if word.ended_at else None,
        "duration_s": duration,
    }
