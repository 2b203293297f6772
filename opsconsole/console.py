"""The one object that screens and commands talk to.

Every call that reaches another system blocks and is bounded: screens make it from threads of their own. Whoever
calls, the same rules decide (actions.py, safety.py), and the same records are written. What is only looked at, and
the parts the console is made of, stand in looking.py.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from opsconsole import actions
from opsconsole.campaign import check_slug
from opsconsole.doubts import SideBySide, against_rest, side_by_side
from opsconsole.looking import Looking
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import (
    Doubt,
    Fates,
    Followed,
    NotThere,
    Refused,
    RunState,
    Started,
    Trouble,
    Verb,
    concerned,
)
from opsconsole.safety import (
    CONSEQUENCES,
    Confirmation,
    approval_for,
    check_environment,
    check_plan,
    check_releaser,
    confirm_decision,
    confirm_send,
    same_person,
)

if TYPE_CHECKING:  # the audit store and the pre-flight are heavy; they are imported when first used
    from opsconsole.audit.records import Record
    from opsconsole.preflight.check import Result


class Console(Looking):
    """What the operator may see and do in one environment."""

    # Rehearsing.

    def preflight(self, slug: str) -> "Iterator[Result]":
        """Every check, one by one, from facts gathered now. What was found is recorded at the end."""
        from opsconsole.rehearsal import preflight

        self._require("preflight", slug)
        yield from preflight(self, self.verdict(slug))

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: threading.Event) -> DryRun:
        """Rehearse on the carrier, record the result, and look at the host again."""
        from opsconsole.rehearsal import dry_run

        self._require("dry-run", slug)
        return dry_run(self, self.verdict(slug), on_output, stop)

    def last_dry_run(self, slug: str) -> DryRun | None:
        from opsconsole.rehearsal import last_dry_run

        return last_dry_run(self.store(), check_slug(slug), self.identity.environment)

    def why_no_send(self, slug: str) -> tuple[str, ...]:
        """Every reason why no plan can be made now; empty when one can. Records nothing."""
        from opsconsole.rehearsal import why_no_send

        return why_no_send(self, self.verdict(slug))

    def plan(self, slug: str) -> Plan:
        """Freeze what the last dry run rehearsed, and record it. Raises Refused with every reason against it."""
        from opsconsole.rehearsal import plan

        self._require("send", slug)
        return plan(self, self.verdict(slug))

    def plan_of(self, slug: str, digest: str) -> Plan:
        """The recorded plan of this campaign whose digest begins with `digest` (at least 12 digits)."""
        from opsconsole.rehearsal import plan_of

        return plan_of(self, check_slug(slug), digest)

    # Acting.

    def confirmation(
        self, action_id: str, slug: str, plan: Plan | None = None, rows: int | None = None
    ) -> Confirmation:
        """What must be read and typed before this action. Raises Refused when it is not allowed now.

        `rows` is the number of recipients a settling is about; sending the rest asks the carrier for its own.
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
        return confirm_decision(
            action_id,
            f"{action.label.capitalize()}: {slug}",
            verdict,
            consequence=CONSEQUENCES.get(action_id, action.tooltip),
            environment=f"{self.environment} ({where})",
            danger=danger,
            needs_reason=action.needs_reason,
            rows=rows,
        )

    def note_refused_paste(self, slug: str, action_id: str, where: str) -> None:
        """Record that a phrase was pasted instead of typed; `where` is the screen or the terminal's question."""
        if not self.read_only:
            self._runs().note(self.identity.event("refused-paste", slug, "", "", asked_for=action_id, where=where))

    def send(self, plan: Plan, typed: str, reason: str = "") -> Started:
        """Start the run of `plan`. Everything is looked at again first; the host looks once more itself."""
        from opsconsole.rehearsal import preflight_obstacles

        self._require("send", plan.slug)
        check_environment(plan, self.environment)
        self.confirmation("send", plan.slug, plan).check(typed, reason)
        self.watch.refresh()
        verdict, now = self.verdict(plan.slug), self.clock()
        dry_run = self.last_dry_run(plan.slug)
        check_plan(plan, verdict, dry_run, self.machine(plan.carrier), self.policy, now)
        self._require("send", plan.slug)
        if obstacles := preflight_obstacles(self, verdict):
            raise Refused(obstacles, "Nothing was sent.")
        approval = approval_for(verdict, plan.planned_by, self.policy)
        try:
            return self._runs().start(plan, reason, approval)
        finally:
            self.watch.refresh((plan.carrier, "console"))

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self.carrier_of(slug).run_state(check_slug(slug), attempt)

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: threading.Event
    ) -> Followed:
        """The run's log from byte `offset` on. When it ends, the end is recorded and others are told."""
        carrier = self.carrier_of(slug).name
        if self.read_only or self.store_trouble:
            return self._carriers[carrier].follow(slug, attempt, offset, on_output, stop)
        followed = self._runs().follow(slug, attempt, offset, on_output, stop, carrier)
        if followed.end is not None:
            self.refresh((carrier, "console"))
        return followed

    def signal(self, slug: str, action_id: str, typed: str = "", reason: str = "") -> RunState:
        """Pause, resume or stop the newest run."""
        action = self._require(action_id, slug)
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug).check(typed, reason)
        carrier = self.carrier_of(slug)
        state = carrier.run_state(slug)
        if state is None:
            raise Refused(f"{carrier.name} knows no run of {slug}.", "There is nothing to act on.")
        verb = {"pause": Verb.PAUSE, "resume": Verb.RESUME, "stop": Verb.CANCEL}[action_id]
        try:
            return self._runs().signal(slug, state.attempt, verb, carrier.name, reason)
        finally:
            self.watch.refresh((carrier.name, "console"))

    def decide(self, action_id: str, slug: str, reason: str, *, typed: str = "", local: str = "") -> "Record":
        """Take a decision: hold, release, approve, mark, close, reschedule (with `local`, its new due time) or
        cancel."""
        action = self._require(action_id, slug)
        if action.needs_reason and not reason.strip():
            raise Refused(
                f"{action.label.capitalize()} needs a reason.", "Nothing was done.", "Say in a few words why."
            )
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug).check(typed, reason)
            self.watch.refresh()
            self._require(action_id, slug)
        verdict, decisions = self.verdict(slug), self._decisions()
        if action_id == "reschedule":
            record = decisions.reschedule(verdict, local, self.clock(), reason)
        elif action_id in ("hold", "release"):
            record = getattr(decisions, action_id)(slug, reason)
        elif action_id == "approve":
            self._refuse_own_plan(slug)
            record = decisions.approve(verdict, reason, self.clock() + self.policy.approval_valid_for)
        elif action_id == "close":
            record = decisions.close(verdict, reason, self._left(slug))
        else:
            record = getattr(decisions, action_id)(verdict, reason)
        self._decided()
        return record

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

    # When a run broke.

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

    def settle(self, slug: str, fates: Fates, typed: str, reason: str) -> Doubt:
        """Decide unknown recipients, by row or all. `typed` is the slug and their number. Gives what is left."""
        self._require("settle", slug)
        self.confirmation("settle", slug, rows=concerned(fates)).check(typed, reason)
        carrier = self._looked_again("settle", slug)
        mending = self._mending()
        try:
            return mending.settle(mending.doubt(slug, carrier), carrier, fates, reason)
        finally:
            self.watch.refresh((carrier, "console"))

    def send_rest(self, slug: str, typed: str, reason: str) -> Started:
        """Go on with the very run: the provably unsent and those decided to get it again, nobody else."""
        self.confirmation("send-rest", slug).check(typed, reason)
        carrier = self._looked_again("send-rest", slug)
        self.confirmation("send-rest", slug).check(typed, reason)  # as many as at the first look
        try:
            return self._mending().send_rest(self._rest(slug), carrier, reason)
        finally:
            self.watch.refresh((carrier, "console"))

    def release_claim(self, slug: str, typed: str, reason: str) -> RunState:
        """Give up a claim under which provably nothing was sent. Not by who claimed it, but after break-glass."""
        self.confirmation("release-claim", slug).check(typed, reason)
        carrier = self._looked_again("release-claim", slug)
        mending = self._mending()
        state = mending.newest(slug, carrier)
        starters = (record.operator for record in self.store().for_run(state.run_id) if record.action == "send")
        check_releaser(self.identity.operator, {state.word.by, *starters}, self.verdict(slug))
        try:
            return mending.release_claim(state, carrier, reason)
        finally:
            self.watch.refresh((carrier, "console"))

    def _looked_again(self, action_id: str, slug: str) -> str:
        """Every source is asked once more, and the rules with it. Gives the carrier's name."""
        self.watch.refresh()
        self._require(action_id, slug)
        return self.carrier_of(slug).name

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

    def reveal(self, what: str, slug: str = "") -> None:
        """Record that personal data is being shown. Raises when it can't be recorded: then it isn't shown."""
        self.store().note(self.identity.event("reveal", slug, "", "", what=what))
