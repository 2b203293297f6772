"""The one object that screens and commands talk to.

Every call that reaches another system blocks and is bounded: screens make it from threads of their own. Whoever
calls, the same rules decide (actions.py, safety.py), and the same records are written. What is only looked at, and
the parts the console is made of, stand in looking.py; decisions in deciding.py.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from opsconsole import actions
from opsconsole.campaign import check_slug
from opsconsole.hostfacts import RunnerFact
from opsconsole.operating import Operating
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import (
    CampaignFacts,
    Doubt,
    Fates,
    Followed,
    Previews,
    Refused,
    RunState,
    Started,
    Switched,
    Verb,
    concerned,
)
from opsconsole.safety import Confirmation, approval_for, check_environment, check_plan, check_releaser
from opsconsole.triggers import TRIGGER_OFF, TRIGGER_ON, by_key
from opsconsole.verdict import Verdict

if TYPE_CHECKING:  # the pre-flight is heavy; it is imported when first used
    from opsconsole.installing import Replaced
    from opsconsole.preflight.check import Result
    from opsconsole.preview import Preview


class Console(Operating):
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

    def previewer(self, slug: str) -> "Callable[[int], Preview]":
        """Shows the mail of a recipient by number, as the carrier has it. Raises Trouble, and so do its calls."""
        from opsconsole.preview import preview

        carrier = self.carrier_of(slug)
        if isinstance(carrier, Previews):
            return partial(carrier.preview, slug)
        facts = carrier.preflight_facts(slug)
        if not isinstance(facts, CampaignFacts):
            raise Refused(f"{carrier.name} shows no mail before it is sent.")
        return partial(preview, facts, slug)

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

    def switch_trigger(self, slug: str, key: str, on: bool, typed: str, reason: str) -> Switched:
        """Switch the trigger that `key` names off or on, at its source. Its state is read again and recorded."""
        action_id = TRIGGER_ON if on else TRIGGER_OFF
        self.confirmation(action_id, slug, key=key).check(typed, reason)
        self.watch.refresh()
        self.confirmation(action_id, slug, key=key)  # as it is now
        source, trigger = by_key(self.verdict(slug), key, on=on)

        def look() -> Verdict:
            self.watch.refresh((source.source,))
            return self.verdict(slug)

        try:
            return self._switching().switch(slug, source.source, key, trigger.where, on, reason, look)
        finally:
            self.watch.refresh((source.source, "console"))
            self.tidy()

    def runner_on(self, name: str, path: str = "", *, again: bool = False) -> RunnerFact | None:
        """The runner on a host, at `path` or where it is configured; None where that is unknown. Raises Trouble."""
        keeper = self._runner_keepers.get(name)
        return keeper.runner(path, again=again) if keeper else None

    def confirm_runner(self, host: str, path: str = "", *, undo: bool = False, force: bool = False) -> Confirmation:
        """What must be read and typed before the runner on `host` is replaced, by a look now. Raises Refused."""
        return self._confirm_runner(self._runner_now(host, path), host, undo, force)

    def install_runner(
        self, host: str, path: str, typed: str, reason: str = "", *, undo: bool = False, force: bool = False
    ) -> "Replaced":
        """Put this console's runner on `host`, or with `undo` the former one back. Looked at again; recorded."""
        seen = self._runner_now(host, path)
        self._confirm_runner(seen, host, undo, force).check(typed, reason)
        try:
            return self._installing().replace(host, seen, undo=undo, reason=reason)
        finally:
            self.watch.refresh((host, "console"))
            self.tidy()

    def _runner_now(self, host: str, path: str) -> RunnerFact:
        if refusal := actions.authorize(actions.BY_ID["install-runner"], self.context()):
            raise Refused(refusal, "Nothing was done.")
        if seen := self.runner_on(host, path, again=True):
            return seen
        raise Refused(f"{host} takes no runner from here.", "Nothing was done.")

    def _confirm_runner(self, seen: RunnerFact, host: str, undo: bool, force: bool) -> Confirmation:
        from opsconsole.installing import confirm_install

        where = self.where(host)
        return confirm_install(
            host,
            where,
            seen,
            undo=undo,
            force=force,
            configured=self.host_settings(host).runner,
            environment=f"{self.environment} ({where})",
            danger=self.settings.danger,
        )

    # When a run broke.

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

    def reveal(self, what: str, slug: str = "") -> None:
        """Record that personal data is being shown. Raises when it can't be recorded: then it isn't shown."""
        self.store().note(self.identity.event("reveal", slug, "", "", what=what))
