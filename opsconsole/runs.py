"""The life of a run: intent, start, follow, control, end, and reconciling what was left open.

The audit store hears of a start before the carrier does, and of the end from the carrier's own records. Nothing
that could have sent mail is ever repeated here: when in doubt the carrier is asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any

from opsconsole.audit.records import Event, Outgoing, Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import RELEASE_CLAIM, SEND, SEND_REST, SETTLE
from opsconsole.campaign import Approval
from opsconsole.digests import content_digest
from opsconsole.errors import AuditUnavailable
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.ports import (
    Carrier,
    Doubts,
    Followed,
    MaybeStarted,
    OutOfReach,
    Refused,
    RunState,
    Started,
    Trouble,
    Verb,
)
from opsconsole.schedule import say_span
from opsconsole.wishes import UNCHANGED, Steers, Wish

ENDS = frozenset({Says.ENDED})
LOOKED_AFTER = frozenset({SEND, SEND_REST, SETTLE, RELEASE_CLAIM, *(f"run-{verb}" for verb in (*Verb, *Wish))})
"""Actions whose open intents the carrier can be asked about."""
SAME_INSTANT = timedelta(seconds=2)
"""So far may two readings of one end lie apart, where the host's clock is corrected."""
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

    `destinations(slug)` names the systems that must be told of its end. `before_send` gets the carrier's name when
    the intent is on record and the carrier not yet asked; it may refuse. Once a carrier was asked, a store that
    fails hides nothing of what the carrier said: the intent then stays open, and is looked after later.
    """

    def __init__(
        self,
        store: Callable[[], AuditStore],
        carriers: Mapping[str, Carrier],
        identity: Identity,
        clock: Callable[[], datetime],
        destinations: Callable[[str], tuple[str, ...]] = lambda slug: (),
        before_send: Callable[[str], None] = lambda carrier: None,
    ) -> None:
        self._store, self._carriers, self._identity = store, carriers, identity
        self._clock, self._destinations = clock, destinations
        self.before_send = before_send
        self._under_way: list[tuple[str, str]] = []

    @contextmanager
    def busy(self, action: str, about: str) -> Iterator[None]:
        """From before an intent until its carrier has answered: this console's own work is not looked after."""
        self._under_way.append((action, about))
        try:
            yield
        finally:
            self._under_way.remove((action, about))

    def is_busy(self, action: str, about: str) -> bool:
        return (action, about) in self._under_way

    def start(self, plan: Plan, reason: str = "", approval: Approval | None = None) -> Started:
        """Record the intent, then start. Raises Trouble (nothing was sent) or MaybeStarted (ask, don't repeat).

        `approval` is the one the start rests on: the store holds the approver against the planner.
        """
        store, identity = self._store(), self._identity
        if plan.carrier not in self._carriers:  # an intent that no carrier can be asked about would stay open
            raise Refused(
                f"There is no carrier {plan.carrier!r} in this configuration.",
                "Nothing was sent, and nothing recorded.",
                "Look at the configuration, or rehearse it on the carrier that has it now.",
            )
        detail = {
            "plan": plan.document(),
            "digest": plan.digest,
            "carrier": plan.carrier,
            "content": content_digest(plan.digests),
            "approval": _approval(approval),
        }
        with self.busy(SEND, plan.run_id):
            event = identity.event(SEND, plan.slug, plan.run_id, reason, **detail)
            intent = store.intent(event)
            try:
                self.before_send(plan.carrier)
                store.still_wanted(event)
                started = self._carriers[plan.carrier].start(plan, identity.operator)
            except MaybeStarted as error:
                self.note(identity.event("send-unclear", plan.slug, plan.run_id, error.what))
                raise
            except Trouble as error:
                # Every other trouble promises that nothing was sent (ports.Carrier): the intent has its outcome.
                said = identity.event(SEND, plan.slug, plan.run_id, str(error), result="not-started")
                self.record_outcome(intent, said)
                raise
        joined = not started.fresh
        self.note(identity.event("send-started", plan.slug, plan.run_id, joined=joined, attempt=plan.attempt))
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
        event = self._identity.event(f"run-{verb}", slug, "", reason, attempt=attempt, carrier=carrier)
        return self._told(event, lambda: self._carriers[carrier].signal(slug, attempt, verb))

    def steer(self, state: RunState, wish: Wish, value: str, was: str, carrier: str, reason: str = "") -> RunState:
        """Ask a run for another rate or account, with a record before and after that names both."""
        told = {"attempt": state.attempt, "carrier": carrier, "was": was, "to": value}
        event = self._identity.event(f"run-{wish}", state.slug, state.run_id, reason, **told)
        steered = self._carriers[carrier]
        if not isinstance(steered, Steers):
            raise Refused(f"{carrier} can't be told that.", UNCHANGED)
        return self._told(event, lambda: steered.steer(state.slug, state.attempt, wish, value))

    def _told(self, event: Event, tell: Callable[[], RunState]) -> RunState:
        """Tell a run something between the two records of `event`."""
        identity, slug = self._identity, event.campaign
        with self.busy(event.action, slug):
            intent = self._store().intent(event)
            try:
                state = tell()
            except Trouble as error:
                # A lost answer is none: whether the run was told isn't known.
                result = "failed" if isinstance(error, Refused | OutOfReach) else "unclear"
                self.record_outcome(
                    intent, identity.event(event.action, slug, event.run, str(error), result=result)
                )
                raise
            done = identity.event(event.action, slug, state.run_id, result="done", state=str(state.says))
            self.record_outcome(intent, done)
        return state

    def note(self, event: Event) -> None:
        """A record of what a carrier did; a store that fails by then must not hide it."""
        with suppress(AuditUnavailable):
            self._store().note(event)

    def record_outcome(self, intent: Record, event: Event) -> None:
        """As `note`; without it the intent stays open, and is looked after."""
        with suppress(AuditUnavailable):
            self._store().outcome(intent, event)

    def close(self, state: RunState) -> Record | None:
        """Record the end of a run this console started or went on with, once, and put the news for others into
        the outbox. The end of a rest is an outcome of the start as well: the newest word on the whole run."""
        if state.says not in ENDS or not state.run_id:
            return None
        store, detail = self._store(), ended_detail(state)
        records = store.for_run(state.run_id)
        answered = {r.ref for r in records if r.phase is Phase.OUTCOME}
        intents = [r for r in records if r.phase is Phase.INTENT and r.action in (SEND, SEND_REST)]
        rests = [
            r for r in intents if r.action == SEND_REST and r.seq not in answered and ended_since(state, r.detail)
        ]
        starts = [r for r in intents if r.action == SEND]
        ends = [r.detail.get("ended_at") for r in records if r.action == SEND and r.detail.get("result") == "ended"]
        closed = None
        event = self._identity.event(SEND, state.slug, state.run_id, **detail)
        # A plan may have been confirmed more than once: after a start that failed, or by two consoles.
        for start in starts:
            if start.seq not in answered:
                closed = store.outcome(start, event, outbox=self._news(state, start, False))
        if starts and closed is None and rests and detail["ended_at"] not in ends:
            closed = store.outcome(starts[-1], event, outbox=self._news(state, rests[-1], True))
        for rest in rests:
            outbox = () if starts else self._news(state, rest, True)
            event = self._identity.event(SEND_REST, state.slug, state.run_id, **detail)
            closed = store.outcome(rest, event, outbox=outbox)
        return closed

    def given_back(self, state: RunState, release: Record) -> None:
        """Record that the claim of a run was given back by the intent `release`: whatever is open for that run is
        then known never to have been sent. By whom and why is what the intent says, whoever finds it out."""
        store, identity, by = self._store(), self._identity, release.operator
        note = f"its claim was released by {by}: provably nobody was mailed"
        done = identity.event(RELEASE_CLAIM, state.slug, state.run_id, release.reason, result="released", by=by)
        for intent in store.unresolved(identity.environment):
            if (intent.campaign, intent.run) != (state.slug, state.run_id):  # a claim without its paper has no id
                continue
            if intent.action in (SEND, SEND_REST):
                event = identity.event(intent.action, state.slug, state.run_id, note, result="not-started")
                store.outcome(intent, event)
            elif intent.action == RELEASE_CLAIM:
                store.outcome(intent, done)

    def reconcile(self) -> tuple[str, ...]:
        """Look after every intent left open, by asking its carrier; says what was found. Repeats nothing.

        A carrier out of reach leaves the intent open.
        """
        found = []
        for intent in self._store().unresolved(self._identity.environment):
            about = (intent.action, intent.campaign if intent.action.startswith("run-") else intent.run)
            if intent.action in LOOKED_AFTER and about not in self._under_way:
                found.append(f"{intent.campaign}: {self._asked(intent)}")
        return tuple(found)

    def _asked(self, intent: Record) -> str:
        carrier = self._carriers.get(str(intent.detail.get("carrier", "")))
        if carrier is None:
            return f"its carrier is not in this configuration; record {intent.seq} stays open"
        try:
            return self._look_after(intent, carrier)
        except Trouble as error:
            return f"can't be asked now ({error.what})"

    def _look_after(self, intent: Record, carrier: Carrier) -> str:
        attempt = attempt_of(intent)
        state = carrier.run_state(intent.campaign, attempt)
        if intent.action == SEND:
            return self._look_after_start(intent, carrier, state)
        if intent.action == SEND_REST:
            return self._look_after_rest(intent, carrier, state)
        if intent.action == RELEASE_CLAIM:
            return self._look_after_release(intent, carrier, state)
        if waiting := self._may_be_under_way(intent):
            return waiting
        now = f"it is now {state.says}" if state else "there is no such run now"
        detail: dict[str, Any] = {"result": "unclear", "state": str(state.says) if state else ""}
        if intent.action == SETTLE and isinstance(carrier, Doubts) and attempt is not None:
            doubt = carrier.doubt(intent.campaign, attempt)
            now = f"the journal now has {doubt.unknown_total:,} unknown and {doubt.unsent:,} unsent"
            detail |= {"unknown": doubt.unknown_total, "unsent": doubt.unsent}
        note = f"what came of it is unclear: {now}"
        self._store().outcome(
            intent, self._identity.event(intent.action, intent.campaign, intent.run, note, **detail)
        )
        return note

    def _look_after_start(self, intent: Record, carrier: Carrier, state: RunState | None) -> str:
        if state is None or state.run_id != intent.run:
            if waiting := self._may_be_under_way(intent):
                return waiting
            state = carrier.give_up(intent.campaign, intent.run)
        if state is None:
            note = "the carrier has no trace of this run and takes it no more: it was not started"
            event = self._identity.event(SEND, intent.campaign, intent.run, note, result="not-started")
            self._store().outcome(intent, event)
            return note
        if state.says in ENDS:
            self.close(state)
            return "ended while nobody watched; its end is recorded now"
        return f"it is {state.says} on {carrier.name}"

    def _look_after_rest(self, intent: Record, carrier: Carrier, state: RunState | None) -> str:
        """Open until an end after it is seen, or a person closes it: only the journal knows how far it came."""
        if state is None or state.run_id != intent.run:
            return f"{carrier.name} doesn't know its run now; record {intent.seq} stays open"
        if state.says not in ENDS:
            return f"it is {state.says} on {carrier.name}"
        if not ended_since(state, intent.detail):
            return "no end of the rest is known; sending the rest once more is harmless, or close it"
        self.close(state)
        return "the rest ended while nobody watched; its end is recorded now"

    def _look_after_release(self, intent: Record, carrier: Carrier, state: RunState | None) -> str:
        """Only the host's own mark closes it: without one, the script may still come late."""
        if state is None or state.run_id != intent.run:
            return f"{carrier.name} doesn't know its run now; record {intent.seq} stays open"
        if not state.released:
            return (
                f"its claim stands on {carrier.name} ({state.says}); releasing it once more is harmless, or "
                f"resolve record {intent.seq}"
            )
        self.given_back(state, intent)
        return "its claim was released; that is recorded now"

    def _may_be_under_way(self, intent: Record) -> str:
        """Another console's work gets its time; "" when it had it."""
        age = self._clock() - intent.utc
        if intent.session != self._identity.session and timedelta(0) <= age < STARTING_FOR:
            return f"{intent.operator} began it {say_span(age)} ago and may be starting it now"
        return ""

    def _news(self, state: RunState, intent: Record, again: bool) -> tuple[Outgoing, ...]:
        detail = ended_detail(state)
        end = f"{state.run_id}:{detail['ended_at']}" if again else state.run_id
        who = {"session": intent.session, "operator": intent.operator}
        told = self._destinations(state.slug)
        return completion(state.slug, end, detail, told, environment=intent.environment, **who)


def completion(
    slug: str, end: str, detail: Mapping[str, Any], destinations: Iterable[str], **who: str
) -> tuple[Outgoing, ...]:
    """The news of a run's end, `detail` as `ended_detail` gives it: told once for each `end`, however often put."""
    told = {name: detail[name] for name in ("status", "counts", "duration_s")}
    payload = {"slug": slug, "run_id": end, "completed_at": detail["ended_at"], **told, **who}
    unknown = (detail["counts"] or {}).get("unknown")
    if unknown:
        payload["note"] = "; ".join(filter(None, (who.get("note"), f"{unknown:,} unknown: may have been accepted")))
    return tuple(Outgoing(name, f"{name}:{end}:completion", payload) for name in destinations)


def attempt_of(intent: Record) -> int | None:
    """The attempt an intent speaks of; None when it names none."""
    plan = intent.detail.get("plan")
    attempt = plan.get("attempt") if isinstance(plan, Mapping) else intent.detail.get("attempt")
    return attempt if isinstance(attempt, int) else None


def ended_since(state: RunState, detail: Mapping[str, Any]) -> bool:
    """Whether this end came after the one that was there when the rest was to be sent."""
    before, now = detail.get("before"), state.word.ended_at
    if not isinstance(before, str) or now is None:
        return True
    return now - datetime.fromisoformat(before) > SAME_INSTANT


def _approval(approval: Approval | None) -> dict[str, Any] | None:
    if approval is None:
        return None
    return {
        "by": approval.by,
        "at": approval.at.isoformat() if approval.at else None,
        "digest": approval.digest,
        "reference": approval.reference,
        "expires": approval.expires.isoformat() if approval.expires else None,
    }


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
        whole = whole and counts.accepted >= (word.planned or 0)
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
