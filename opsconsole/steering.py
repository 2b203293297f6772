"""Steering a run that goes: another rate, another account, by the same rules as every action."""

from collections.abc import Sequence

from opsconsole import actions
from opsconsole.deciding import Deciding
from opsconsole.grounds import Ground
from opsconsole.plan import Plan
from opsconsole.ports import Refused, RunState
from opsconsole.safety import Confirmation, confirm_decision
from opsconsole.wishes import UNCHANGED, Steers, Wish, checked, faster, other_account, say_wish


class Steering(Deciding):
    """The part of the console that tells a living run how to go on."""

    def confirmation(
        self,
        action_id: str,
        slug: str,
        plan: Plan | None = None,
        rows: int | None = None,
        evidence: Sequence[Ground] | None = None,
        key: str = "",
    ) -> Confirmation:
        """As every action's; of another account `key` is which, the one that isn't in use by default."""
        if action_id != "account":
            return super().confirmation(action_id, slug, plan, rows, evidence, key)
        action = self._require(action_id, slug)
        verdict = self.verdict(slug)
        was = verdict.run.going.account if verdict.run else ""
        wanted = say_wish(Wish.ACCOUNT, checked(Wish.ACCOUNT, key or other_account(was)))
        return confirm_decision(
            action_id,
            f"Send the rest of {slug} by {wanted}",
            verdict,
            consequence="let every further mail of this run go out by that mail server, under its name and limits",
            environment=f"{self.environment} ({self.where(self.carrier_of(slug).name)})",
            danger=self.settings.danger,
            needs_reason=action.needs_reason,
            lines=(("account", f"{say_wish(Wish.ACCOUNT, was)}, then {wanted}"),),
        )

    def steer(self, slug: str, action_id: str, value: str, typed: str = "", reason: str = "") -> RunState:
        """Ask the newest run for another `rate` or `account`. To go faster needs a reason; another account is
        confirmed as well. Raises Refused, with nothing changed."""
        wish = Wish(action_id)
        action, value = self._require(action_id, slug), checked(wish, value)
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug, key=value).check(typed, reason)
        carrier = self.carrier_of(slug)
        state = carrier.run_state(slug)
        if state is None or not isinstance(carrier, Steers):
            raise Refused(f"{carrier.name} knows no run of {slug} that could be told.", UNCHANGED)
        was = state.word.going.rate_limit if wish is Wish.RATE else state.word.going.account
        if was == value:
            raise Refused(f"{slug} goes out with {say_wish(wish, value)} already.", UNCHANGED)
        if wish is Wish.RATE and faster(was, value) and not reason.strip():
            raise Refused(
                f"{say_wish(wish, value).capitalize()} may be faster than now ({say_wish(wish, was)}).",
                UNCHANGED,
                "Say in a few words why; to go slower needs no reason.",
            )
        try:
            return self._runs().steer(state, wish, value, was, carrier.name, reason)
        finally:
            self.watch.refresh((carrier.name, "console"))
