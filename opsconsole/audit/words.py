"""What the console's own store says of each campaign: decisions, approvals, holds, and the runs it started."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opsconsole.audit.records import Phase, Record, instant_in
from opsconsole.audit.scopes import EVERYTHING, GLOBAL, HOST
from opsconsole.audit.store import AuditStore
from opsconsole.campaign import Approval, Details
from opsconsole.errors import AuditUnavailable
from opsconsole.grounds import say_recorded
from opsconsole.observation import Adopted, Counts, Evidence, Hold, Mark, Observation, Report, RunWord, Says
from opsconsole.schedule import Due

SEND, SEND_REST, SETTLE, RELEASE_CLAIM, ADOPT = "send", "send-rest", "settle", "release-claim", "adopt"
DECISIONS = ("mark", "cancel", "reschedule", "close")
Words = tuple[tuple[Observation, ...], tuple[Hold, ...]]


class ConsoleSource:
    """The audit store as a source. It knows what was decided and started here, not what others did.

    One store serves several environments: what was recorded in another one says nothing here.
    """

    name = "console"

    def __init__(self, store: Callable[[], AuditStore], clock: Callable[[], datetime], environment: str) -> None:
        self._store, self._clock, self._environment = store, clock, environment
        self._known: tuple[int, Words] = (-1, ((), ()))

    def observe(self) -> Report:
        now = self._clock()
        try:
            observations, holds = self._current(now)
        except AuditUnavailable as error:
            return Report(
                source=self.name, looked_at=now, fresh_for=_FRESH, trouble=str(error), out_of_reach_since=now
            )
        return Report(
            source=self.name,
            looked_at=now,
            fresh_for=_FRESH,
            observations=observations,
            holds=holds,
            own_store=True,
        )

    def close(self) -> None:
        """The store belongs to the console, which closes it."""

    def _current(self, now: datetime) -> Words:
        """The records change by appending alone: while the head stands, so does what they say."""
        head = self._store().head().seq
        if self._known[0] != head:
            self._known = (head, self._read(now))
        observations, holds = self._known[1]
        return tuple(replace(o, observed_at=now) for o in observations), holds

    def _read(self, now: datetime) -> Words:
        store, here = self._store(), self._environment
        decided = store.last_by_campaign(DECISIONS, here)
        approved = store.last_by_campaign(("approve",), here)
        alone = store.last_by_campaign(("break-glass",), here)
        released = _released(store, here)
        held = store.last_by_campaign(("hold", "release"), here)
        last = store.last_by_campaign((SEND,), here)
        runs = {slug: _last_run(store, record, here, released) for slug, record in last.items()}
        sends = {slug: record for slug, record in runs.items() if record is not None}
        adopted = {slug: _adoptions(store, slug, here, released) for slug in store.last_by_campaign((ADOPT,), here)}
        unresolved: dict[str, list[Record]] = {}
        for intent in store.unresolved(here):
            unresolved.setdefault(intent.campaign, []).append(intent)
        everywhere = [hold_of(held.pop(GLOBAL, None), EVERYTHING)]
        everywhere += [hold_of(held.pop(key), key) for key in sorted(held) if key.startswith(HOST)]
        slugs = {*decided, *approved, *alone, *held, *last, *adopted, *unresolved} - {GLOBAL, ""}
        words = tuple(
            observation(
                slug,
                now,
                decision=decided.get(slug),
                approval=approved.get(slug),
                alone=alone.get(slug),
                holds=tuple(h for h in (hold_of(held.get(slug), slug),) if h),
                send=sends.get(slug),
                adopted=adopted.get(slug, ()),
                open_intents=tuple(unresolved.get(slug, ())),
            )
            for slug in sorted(slugs)
        )
        return words, tuple(hold for hold in everywhere if hold)


_FRESH = timedelta(hours=24)  # the store is ours: it is as true as when it was last read


def observation(
    slug: str,
    now: datetime,
    *,
    decision: Record | None = None,
    approval: Record | None = None,
    alone: Record | None = None,
    holds: tuple[Hold, ...] = (),
    send: Record | None = None,
    adopted: tuple[Record, ...] = (),
    open_intents: tuple[Record, ...] = (),
) -> Observation:
    """The store's word on one campaign, from the newest record of each kind; `adopted` are all, newest first."""
    says, decided, since, run, note, closed = Says.NOTHING, False, None, None, "", False
    details = Details()
    own = (send.run,) if send is not None else ()
    if adopted and (send is None or send.seq < adopted[0].seq):
        # What is known of the newest run, whoever started it; one that reached nobody takes back no mail.
        known = (*adopted, *((send,) if send else ()))
        send = next((record for record in known if _went_out(record)), adopted[0])
    if send is not None:
        run = _run(send)
        since = run.ended_at or run.started_at
        if _ended(send):
            says = Says.ENDED
    # Adopting a run adds what is known of it; it takes back no decision, as a send begun after one does.
    told = send is None or send.action == ADOPT
    newest = decision is not None and (told or send is None or decision.seq > send.seq)
    if decision is not None and decision.action == "close":
        # The end of a run begun before it, recorded later, opens nothing again.
        closed = told or send is None or (send.ref or send.seq) < decision.seq
        if closed:
            decided, since, note = True, decision.utc, decision.reason
            run = replace(run or RunWord(), by=decision.operator)
            says = Says.SENT if decision.detail.get("left") == 0 else says
    elif decision is not None and decision.action == "reschedule":
        decided, details = True, _rescheduled(decision)
        # A new due time gives a new chance to a run that reached nobody; it takes back no mail.
        if newest and not (says is Says.ENDED and _reached(run)):
            says, since, run, note = Says.NOTHING, decision.utc, RunWord(by=decision.operator), decision.reason
    elif decision is not None and newest:
        decided, since, note = True, decision.utc, _because(decision)
        says = Says.SENT if decision.action == "mark" else Says.CANCELLED
        marked = run if run and says is Says.SENT else RunWord()
        run = RunWord(run_id=marked.run_id, by=decision.operator, counts=marked.counts)
    return Observation(
        source=ConsoleSource.name,
        slug=slug,
        observed_at=now,
        fresh_for=_FRESH,
        says=says,
        decided=decided,
        since=since,
        run=run,
        details=details,
        approval=_approval(approval),
        break_glass=_approval(alone),
        closed=closed,
        holds=holds,
        note=note,
        own_runs=own,
        adopted=tuple(_adopted(record) for record in adopted),
        open_intents=tuple(_say_intent(record) for record in open_intents),
        evidence=_evidence(decision, approval, alone, send, holds),
    )


def _because(decision: Record) -> str:
    """The reason for a decision, and the evidence that was named for it."""
    evidence = say_recorded(decision.detail.get("evidence"))
    return f"{decision.reason} ({evidence})" if evidence else decision.reason


def _ended(send: Record) -> bool:
    return send.detail.get("result") == "ended" and (send.phase is Phase.OUTCOME or send.action == ADOPT)


def _went_out(send: Record) -> bool:
    """Whether a run is known to have ended with mail accepted: by its counts, else by its exit code."""
    run = _run(send)
    return _ended(send) and (_reached(run) if run.counts else run.rc in (0, None))


def _reached(run: RunWord | None) -> bool:
    """Whether a run that ended has mailed anybody, or may have."""
    counts = run.counts if run else None
    return counts is None or counts.accepted > 0 or counts.unknown > 0


def _released(store: AuditStore, environment: str) -> frozenset[str]:
    """The runs whose claims were given back: provably nobody was mailed by them."""
    if not store.last_by_campaign((RELEASE_CLAIM,), environment):
        return frozenset()
    records = store.search(action=RELEASE_CLAIM, environment=environment, limit=10_000)
    return frozenset(record.run for record in records if record.detail.get("result") == "released")


def _last_run(store: AuditStore, newest: Record, environment: str, released: frozenset[str]) -> Record | None:
    """The newest record of a send that was more than refused: a start that came to nothing hides no earlier run,
    and a run that was released is none."""
    if newest.run not in released and (newest.phase is not Phase.OUTCOME or _ended(newest)):
        return newest
    earlier = store.search(campaign=newest.campaign, action=SEND, environment=environment)
    runs = [record for record in earlier if record.run not in released]
    return next((record for record in runs if _ended(record)), runs[0] if runs else None)


def _run(send: Record) -> RunWord:
    detail = send.detail
    if send.action == ADOPT:
        attempt, by = _int(detail.get("attempt")), str(detail.get("run_by") or "")
        return replace(_told(send), attempt=1 if attempt is None else attempt, by=by)
    if send.phase is not Phase.OUTCOME:
        return RunWord(run_id=send.run, by=send.operator, claimed_at=send.utc)
    return _told(send)


def _told(send: Record) -> RunWord:
    detail = send.detail
    return RunWord(
        run_id=send.run,
        by=send.operator,
        started_at=instant_in(detail.get("started_at")),
        ended_at=instant_in(detail.get("ended_at")),
        rc=_int(detail.get("rc")),
        counts=counts_of(detail.get("counts")),
    )


def counts_of(value: Any) -> Counts | None:
    """Counts as they lie in a record's detail; None when there are none."""
    if not isinstance(value, Mapping):
        return None
    numbers = {
        key: _int(value.get(key)) for key in ("total", "accepted", "failed", "unknown", "deferred", "suppressed")
    }
    return Counts(
        total=numbers["total"],
        accepted=numbers["accepted"] or 0,
        failed=numbers["failed"] or 0,
        unknown=numbers["unknown"] or 0,
        deferred=numbers["deferred"] or 0,
        suppressed=numbers["suppressed"] or 0,
    )


def _rescheduled(record: Record) -> Details:
    instant = instant_in(record.detail.get("due"))
    zone, text = record.detail.get("zone"), record.detail.get("local")
    if instant is None or not isinstance(zone, str) or not isinstance(text, str):
        return Details()
    return Details(due=Due(instant, zone, text))


def _adopted(record: Record) -> Adopted:
    detail = record.detail
    return Adopted(
        source=str(detail.get("source", "")),
        run_id=record.run,
        began=instant_in(detail.get("began")) or record.utc,
        by=str(detail.get("adopted_by") or record.operator),
        at=instant_in(detail.get("adopted_at")) or record.utc,
        ended=detail.get("result") == "ended",
    )


def _adoptions(store: AuditStore, slug: str, environment: str, released: frozenset[str]) -> tuple[Record, ...]:
    found = store.search(campaign=slug, action=ADOPT, environment=environment)
    return tuple(record for record in found if not record.run or record.run not in released)


def _approval(record: Record | None) -> Approval | None:
    if record is None:
        return None
    return Approval(
        by=record.operator,
        at=record.utc,
        reference=f"record {record.seq}",
        recipients=_int(record.detail.get("recipients")),
        digest=str(record.detail.get("digest", "")),
        expires=instant_in(record.detail.get("expires")),
        alone=record.action == "break-glass",
        due=instant_in(record.detail.get("due")),
    )


def hold_of(record: Record | None, scope: str) -> Hold | None:
    """The hold that the newest hold or release of a scope leaves; None when nothing holds it."""
    if record is None or record.action != "hold":
        return None
    return Hold(scope=scope, by=record.operator, at=record.utc, reason=record.reason)


def _say_intent(record: Record) -> str:
    return f"{record.action} by {record.operator} (record {record.seq})"


def _evidence(
    decision: Record | None,
    approval: Record | None,
    alone: Record | None,
    send: Record | None,
    holds: tuple[Hold, ...],
) -> tuple[Evidence, ...]:
    lines = []
    for record, word in ((decision, "decided"), (approval, "approved"), (send, "run")):
        if record is not None:
            phase = "" if record.phase is Phase.NOTE else f" ({record.phase})"
            because = f": {_because(record)}" if record.reason else ""
            text = f"{_what(record)}{phase} by {record.operator}{because}"
            lines.append(Evidence(letter="J", label=f"console {word}", mark=Mark.YES, text=text, at=record.utc))
    if alone is not None:
        until = f", until {expires:%H:%M} UTC" if (expires := instant_in(alone.detail.get("expires"))) else ""
        text = f"no second person: glass was broken by {alone.operator}{until}: {alone.reason}"
        lines.append(Evidence(letter="J", label="console broken glass", mark=Mark.YES, text=text, at=alone.utc))
    lines += [
        Evidence(letter="J", label="console hold", mark=Mark.BAD, text=f"{h.scope} by {h.by}: {h.reason}", at=h.at)
        for h in holds
    ]
    return tuple(lines)


def _what(record: Record) -> str:
    if record.action != ADOPT:
        return record.action
    name = f"run {record.run}" if record.run else "a run without an id"
    by = f" by {record.detail.get('run_by')}" if record.detail.get("run_by") else ""
    return f"{name} on {record.detail.get('source')}{by} adopted"


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
