"""What a person does about a run that broke: settle who is unknown, send the rest, give the claim back.

As with a start, the intent is on record before the carrier hears of it, and nothing is repeated by itself.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from opsconsole.audit.records import Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import RELEASE_CLAIM, SEND_REST, SETTLE
from opsconsole.errors import AuditUnavailable
from opsconsole.ports import (
    Carrier,
    Doubt,
    Doubts,
    EveryUnknown,
    Fate,
    Fates,
    MaybeStarted,
    OutOfReach,
    Refused,
    Releases,
    RunState,
    Started,
    Trouble,
)
from opsconsole.runs import Identity, Runs


class Mending:
    """Acts on the newest run of a campaign, by its carrier's records. Authorizing is the console's work."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        carriers: Mapping[str, Carrier],
        identity: Identity,
        clock: Callable[[], datetime],
        runs: Runs,
    ) -> None:
        self._store, self._carriers, self._identity = store, carriers, identity
        self._clock, self._runs = clock, runs

    def doubt(self, slug: str, carrier: str) -> Doubt:
        """What its journal and mail log say of the newest run. Looks only."""
        return self._keeps_journal(carrier).doubt(slug, self.newest(slug, carrier).attempt)

    def decided_again(self, run_id: str) -> int:
        """How many recipients of this run were decided, on this store's record, to be mailed again."""
        rows: set[int] = set()
        since_rest = most = 0  # within one rest nobody is decided twice; over several, some may be
        records: list[Record] = []
        with suppress(AuditUnavailable):  # looking goes on; without the store nothing can be sent anyway
            records = self._store().for_run(run_id)
        done = {r.ref for r in records if r.action == SETTLE and r.detail.get("result") == "done"}
        for record in records:
            if record.action == SEND_REST and record.phase is Phase.INTENT:
                since_rest = 0
            fates = record.detail.get("fates") if record.seq in done else None
            again = fates.get(str(Fate.RESEND)) if isinstance(fates, Mapping) else None
            if isinstance(again, list) and again:
                rows.update(row for row in again if isinstance(row, int))
                every = record.detail.get("all")
                since_rest += every if isinstance(every, int) else len(again)
                most = max(most, since_rest)
        return max(len(rows), most)

    def newest(self, slug: str, carrier: str) -> RunState:
        state = self._carriers[carrier].run_state(slug)
        if state is None:
            raise Refused(f"{carrier} knows no run of {slug}.", "There is nothing to mend.")
        return state

    def settle(self, doubt: Doubt, carrier: str, fates: Fates, reason: str) -> Doubt:
        """Write the decisions into the journal, under a record of who decided what of which row. Of every unknown
        one the record holds the number, and the rows that were listed."""
        identity, keeper = self._identity, self._keeps_journal(carrier)
        detail: dict[str, Any] = {"attempt": doubt.attempt, "carrier": carrier}
        by_row = fates
        if isinstance(fates, EveryUnknown):
            if doubt.unknown_total != fates.count:
                raise Refused(
                    f"{doubt.unknown_total:,} recipients are unknown now, not {fates.count:,}.",
                    "Nothing was decided.",
                    "Look again: opsconsole doubt.",
                )
            detail["all"] = fates.count
            by_row = dict.fromkeys((one.row for one in doubt.unknown), fates.fate)
        assert isinstance(by_row, Mapping)
        detail["fates"] = {str(fate): sorted(row for row in by_row if by_row[row] is fate) for fate in Fate}
        with self._runs.busy(SETTLE, doubt.run_id):
            intent = self._store().intent(identity.event(SETTLE, doubt.slug, doubt.run_id, reason, **detail))
            try:
                left = keeper.decide(doubt.slug, doubt.attempt, doubt.run_id, fates, identity.operator)
            except Trouble as error:
                result = "failed" if isinstance(error, Refused | OutOfReach) else "unclear"
                said = identity.event(SETTLE, doubt.slug, doubt.run_id, str(error), result=result)
                self._runs.record_outcome(intent, said)
                raise
            told: dict[str, Any] = {"unsent": left.unsent, "unknown": left.unknown_total}
            done = identity.event(SETTLE, doubt.slug, doubt.run_id, result="done", **told)
            self._runs.record_outcome(intent, done)
        return left

    def send_rest(self, doubt: Doubt, carrier: str, reason: str) -> Started:
        """Go on with this run. Raises Trouble (nothing was sent) or MaybeStarted (ask, don't repeat)."""
        identity, keeper = self._identity, self._keeps_journal(carrier)
        before = self.newest(doubt.slug, carrier).word.ended_at
        detail = {
            "attempt": doubt.attempt,
            "carrier": carrier,
            "rest": doubt.unsent,
            "before": before.isoformat() if before else None,
        }
        with self._runs.busy(SEND_REST, doubt.run_id):
            event = identity.event(SEND_REST, doubt.slug, doubt.run_id, reason, **detail)
            intent = self._store().intent(event)
            try:
                self._runs.before_send(carrier)
                self._store().still_wanted(event)
                started = keeper.send_rest(doubt.slug, doubt.attempt, doubt.run_id, identity.operator)
            except MaybeStarted as error:
                self._runs.note(identity.event("send-unclear", doubt.slug, doubt.run_id, error.what))
                raise
            except Trouble as error:
                said = identity.event(SEND_REST, doubt.slug, doubt.run_id, str(error), result="not-started")
                self._runs.record_outcome(intent, said)
                raise
        joined = not started.fresh
        self._runs.note(
            identity.event("send-started", doubt.slug, doubt.run_id, joined=joined, attempt=doubt.attempt)
        )
        return started

    def release_claim(self, state: RunState, carrier: str, reason: str) -> RunState:
        """Give the claim back; what was open for its run is then known never to have been sent."""
        keeper = self._carriers[carrier]
        if not isinstance(keeper, Releases):
            raise Refused(f"{carrier} can't give a claim back.", "Nothing was done.")
        identity, run = self._identity, state.run_id
        detail = {"attempt": state.attempt, "carrier": carrier}
        with self._runs.busy(RELEASE_CLAIM, run):
            intent = self._store().intent(identity.event(RELEASE_CLAIM, state.slug, run, reason, **detail))
            try:
                after = keeper.release(state.slug, state.attempt, run, identity.operator, reason)
            except Trouble as error:
                # A lost answer is none: the intent stays open until the host tells whether it was released.
                if isinstance(error, Refused | OutOfReach):
                    said = identity.event(RELEASE_CLAIM, state.slug, run, str(error), result="failed")
                    self._runs.record_outcome(intent, said)
                raise
            with suppress(AuditUnavailable):  # the host gave it back; what stays open is looked after
                self._runs.given_back(state, intent)
        return after

    def _keeps_journal(self, carrier: str) -> Doubts:
        keeper = self._carriers[carrier]
        if not isinstance(keeper, Doubts):
            raise Refused(
                f"{carrier} keeps no journal of recipients.",
                "Who was reached can't be told one by one.",
                "Compare with the provider, then mark it or call it off.",
            )
        return keeper
