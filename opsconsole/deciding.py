"""The half of the console that takes decisions: what must be confirmed, what that rests on, and the record of it.

It carries nothing out on a carrier; what does stands in console.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from opsconsole import actions
from opsconsole.actions import Action
from opsconsole.doubts import SideBySide, against_rest, side_by_side
from opsconsole.grounds import Ground, check_unchanged, grounds, strongest
from opsconsole.looking import Looking
from opsconsole.plan import Plan
from opsconsole.ports import Doubt, NotThere, Refused, Trouble
from opsconsole.proof import prove_no_trigger
from opsconsole.safety import (
    CONSEQUENCES,
    ON_A_MACHINE,
    Confirmation,
    approval_for,
    check_releaser,
    check_switched_on,
    check_undecided,
    confirm_decision,
    confirm_send,
    rests_on,
    same_person,
)
from opsconsole.schedule import Due
from opsconsole.triggers import TRIGGER_OFF, TRIGGER_ON, say_switch, starts_by
from opsconsole.verdict import Verdict

if TYPE_CHECKING:  # the audit store is heavy; it is imported when first used
    from opsconsole.audit.records import Record


class Deciding(Looking):
    """What a person may decide in one environment."""

    def confirmation(
        self,
        action_id: str,
        slug: str,
        plan: Plan | None = None,
        rows: int | None = None,
        evidence: Sequence[Ground] | None = None,
        key: str = "",
    ) -> Confirmation:
        """What must be read and typed before this action. Raises Refused when it is not allowed now.

        `rows` is the number of recipients a settling is about; sending the rest asks the carrier for its own.
        `evidence` is what marking as executed rests on; None takes the most telling there is. `key` is that of the
        trigger to switch.
        """
        action = self._require(action_id, slug)
        verdict = self.verdict(slug)
        where, danger = self.where(self.carrier_of(slug).name), self.settings.danger
        if action_id == "send":
            if plan is None:
                raise Refused("There is no plan.", "Nothing was sent.", "Run the dry run first.")
            warnings = tuple(f.text for f in verdict.findings if f.severity == "warn")
            return confirm_send(
                plan,
                verdict.details,
                where=where,
                danger=danger,
                now=self.clock(),
                local_zone=self.local_zone,
                warnings=warnings,
                approval=approval_for(verdict, plan.planned_by, self.policy),
            )
        if action_id == "settle" and not rows:
            raise Refused("No recipient was chosen.", "Nothing was decided.", "Choose rows, or all.")
        if action_id == "release-claim" and verdict.run is not None:
            check_releaser(self.identity.operator, (verdict.run.by,), verdict)
        if action_id == "send-rest":
            rows = self._rest(slug).unsent
        lines, warnings = rests_on(action_id, verdict, evidence, self.clock())
        if action_id in (TRIGGER_OFF, TRIGGER_ON):
            lines, warnings = say_switch(verdict, key, on=action_id == TRIGGER_ON)
            others = [v for v in self.board().verdicts if v.slug != slug and starts_by(v, key)]
            self._check_switch(action_id, (verdict, *others))
            warnings += tuple(f"The same trigger is about {v.slug} as well, which is {v.status}." for v in others)
        return confirm_decision(
            action_id,
            f"{action.label.capitalize()}: {slug}",
            verdict,
            consequence=self._consequence(action, verdict, key),
            environment=f"{self.environment} ({where})",
            danger=danger,
            needs_reason=action.needs_reason,
            rows=rows,
            lines=lines,
            warnings=warnings,
        )

    def _consequence(self, action: Action, verdict: Verdict, key: str) -> str:
        source = next((o.source for o in verdict.observations for t in o.triggers if t.key and t.key == key), "")
        words = CONSEQUENCES | (ON_A_MACHINE if source in self._machines else {})
        return words.get(action.id, action.tooltip)

    def _check_switch(self, action_id: str, concerned: Sequence[Verdict]) -> None:
        """What a line starts by itself is bound by all that binds a send, for each campaign that it starts."""
        for verdict in concerned if action_id == TRIGGER_ON else ():
            if refusal := actions.authorize(actions.BY_ID[TRIGGER_ON], self.context(verdict.slug)):
                raise Refused(f"{verdict.slug}: {refusal}", "Nothing was changed.")
            check_switched_on(verdict, self.identity.operator, self.policy)

    def note_refused_paste(self, slug: str, action_id: str, where: str) -> None:
        """Record that a phrase was pasted instead of typed; `where` is the screen or the terminal's question."""
        if not self.read_only:
            self._runs().note(self.identity.event("refused-paste", slug, "", "", asked_for=action_id, where=where))

    def decide(
        self,
        action_id: str,
        slug: str,
        reason: str,
        *,
        typed: str = "",
        local: str = "",
        fold: int | None = None,
        evidence: Sequence[Ground] | None = None,
    ) -> "Record":
        """Take a decision: hold, release, approve, mark, close, reschedule, cancel or adopt.

        To reschedule, `local` is its new due time and `fold` which of a doubled one. To mark, `evidence` is what
        that rests on, empty for the operator's word alone; None takes the most telling there is.
        """
        action = self._require(action_id, slug)
        if action.needs_reason and not reason.strip():
            raise Refused(
                f"{action.label.capitalize()} needs a reason.", "Nothing was done.", "Say in a few words why."
            )
        if action_id == "mark" and evidence is None:
            evidence = strongest(self.verdict(slug), self.clock())
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug, evidence=evidence).check(typed, reason)
            self.watch.refresh()
            self._require(action_id, slug)
        elif action_id == "reschedule":  # it would take back what somebody decided meanwhile
            before = self.verdict(slug)
            self.watch.refresh()
            self._require(action_id, slug)
            check_undecided(before, self.verdict(slug))
        if action_id == "approve":
            self._refuse_own_plan(slug)
        left = self._left(slug) if action_id == "close" else None
        record = self._decide(action_id, self.verdict(slug), reason, local, fold, evidence or (), left)
        self._decided()
        return record

    def _decide(
        self,
        action_id: str,
        verdict: Verdict,
        reason: str,
        local: str,
        fold: int | None,
        evidence: Sequence[Ground],
        left: int | None,
    ) -> "Record":
        """What it rests on is looked at once more in `verdict`, then it is recorded."""
        from opsconsole.decisions import new_due

        decisions, now = self._decisions(), self.clock()
        match action_id:
            case "hold":
                return decisions.hold(verdict.slug, reason)
            case "release":
                return decisions.release(verdict.slug, reason)
            case "approve":
                return decisions.approve(verdict, reason, now + self.policy.approval_valid_for)
            case "close":
                return decisions.close(verdict, reason, left)
            case "reschedule":
                return decisions.reschedule(verdict, new_due(verdict, local, now, fold), reason)
            case "mark":
                check_unchanged(evidence, verdict, now)
                return decisions.mark(verdict, reason, evidence)
            case "cancel":
                return decisions.cancel(verdict, reason, prove_no_trigger(verdict, now))
            case "adopt":
                return self._adoptions().adopt(verdict, reason, now)
        raise ValueError(f"{action_id} is no decision")

    def new_due(self, slug: str, local: str, fold: int | None = None) -> Due:
        """What a new due time would be. Raises Refused as rescheduling would; records nothing."""
        from opsconsole.decisions import new_due

        self._require("reschedule", slug)
        return new_due(self.verdict(slug), local, self.clock(), fold)

    def grounds(self, slug: str) -> tuple[Ground, ...]:
        """What marking as executed can rest on, the most telling first."""
        return grounds(self.verdict(slug), self.clock())

    def hold_scope(self, scope: str, release: bool, reason: str) -> "Record":
        """Hold every campaign (`everything`) or those of one carrier (`host:NAME`), or release that hold."""
        self._permit("release" if release else "hold", reason)
        if scope != "everything" and scope.removeprefix("host:") not in self._carriers:
            raise NotThere(f"There is no carrier {scope.removeprefix('host:')!r} here.", "Nothing was held.")
        decisions = self._decisions()
        record = decisions.release(scope, reason) if release else decisions.hold(scope, reason)
        self._decided()
        return record

    def break_glass(self, slug: str, typed: str, reason: str) -> "Record":
        """Do without the second person for this content, for break_glass_valid_for; others are notified."""
        self._require("break-glass", slug)
        self.confirmation("break-glass", slug).check(typed, reason)
        record = self._decisions().break_glass(
            self.verdict(slug), reason, self.clock(), self.policy.break_glass_valid_for
        )
        self._decided()
        return record

    def accept_host(self, name: str, reason: str) -> "Record":
        """Take a host as it is, after it lost or changed its records. Raises Refused."""
        self._permit("accept-host", reason)
        if self.witness is None:
            raise Refused(f"{name} keeps no copies of the audit head.", "Nothing was done.")
        try:
            return self.witness.accept(name, reason)
        finally:
            self._heed_witness()

    def accept_clock(self, reason: str) -> "Record":
        """Say why the clock went back. Raises Refused."""
        self._permit("accept-clock", reason)
        return self.store().explain_clock(self.identity.event("", "", "", reason))

    def resolve(self, seq: int, reason: str) -> "Record":
        """Close an intent without an outcome: somebody looked, and says in `reason` what they found."""
        self._permit("resolve", reason)
        store, here = self.store(), self.identity.environment
        intent = next((r for r in store.unresolved(here) if r.seq == seq), None)
        if intent is None:
            raise NotThere(
                f"Record {seq} is no open intent of {here}.", "Nothing was done.", "See `opsconsole audit`."
            )
        record = store.resolve(intent, self.identity.event("", intent.campaign, intent.run, reason))
        self._decided()
        return record

    # What is known of a broken run.

    def doubt(self, slug: str) -> Doubt:
        """What the journal and the mail log say of the newest run, and what speaks against sending the rest. Looks
        only."""
        self._require("doubt", slug)
        doubt = self._mending().doubt(slug, self.carrier_of(slug).name)
        resend = self._mending().decided_again(doubt.run_id)
        return replace(doubt, against=against_rest(doubt, self.verdict(slug), resend))

    def doubt_beside(self, slug: str) -> SideBySide:
        """The same beside what every other source says, and what can be done."""
        return side_by_side(self.doubt(slug), self.verdict(slug), self.clock())

    def _rest(self, slug: str) -> Doubt:
        doubt = self.doubt(slug)
        if doubt.against:
            raise Refused(
                doubt.against, "Nothing was sent.", "Compare with the provider, then mark it or close it."
            )
        if not doubt.unsent:
            raise Refused(
                "Nobody is left who provably got nothing.", "Nothing was sent.", "Settle the unknown, or close it."
            )
        return doubt

    def _left(self, slug: str) -> int | None:
        """How many the newest run hasn't reached, as far as its journal tells."""
        try:
            doubt = self._mending().doubt(slug, self.carrier_of(slug).name)
        except Trouble:
            return None
        return doubt.unsent + doubt.unknown_total + doubt.counts.failed

    def _permit(self, action_id: str, reason: str) -> None:
        action = actions.BY_ID[action_id]
        if refusal := actions.authorize(action, self.context()):
            raise Refused(refusal, "Nothing was done.")
        if not reason.strip():
            raise Refused(f"{action.label.capitalize()} needs a reason.", "Nothing was done.", "Say why.")

    def _refuse_own_plan(self, slug: str) -> None:
        """With four eyes, who planned it can't approve it: somebody else has to."""
        if not self.policy.four_eyes:
            return
        here, now = self.identity.environment, self.clock()
        for record in self.store().search(campaign=slug, action="plan", environment=here, limit=1):
            planned_lately = now - record.utc < self.policy.plan_valid_for
            if planned_lately and same_person(record.operator, self.identity.operator):
                raise Refused(
                    f"{record.operator} planned it (record {record.seq}), and four eyes are asked for here",
                    "It was not approved",
                    "Somebody else must approve it",
                )

    def _decided(self) -> None:
        self.watch.refresh(("console",))
        self.tidy()
