"""The part of the console that does things to systems beyond a run, by the same rules as every action."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from opsconsole import actions
from opsconsole.campaign import check_slug
from opsconsole.ports import NotThere, Operated, Operation, Refused
from opsconsole.safety import Confirmation
from opsconsole.steering import Steering

if TYPE_CHECKING:  # the audit store is heavy; it is imported when first used
    from opsconsole.observation import Hold
    from opsconsole.operations import Offered


class Operating(Steering):
    """What can be done to the systems of one environment, beside their campaigns' runs."""

    def operations(self, slug: str = "", only: str = "") -> "Offered":
        """What can be done now about this campaign, or about no single one; each with all that speaks against it.

        Asks every system that offers any, or `only` this one. Looks only. Raises NotThere.
        """
        if slug:
            self.verdict(check_slug(slug))
        if only and only not in self._operators:
            names = ", ".join(self._operators) or "no system here"
            raise NotThere(f"{only!r} offers no operations.", "Nothing was done.", f"These do: {names}.")
        offered = self._operations().offered(slug, only)
        judged = (replace(one, against=self.against_operation(one)) for one in offered.operations)
        return replace(offered, operations=tuple(judged))

    def against_operation(self, operation: Operation) -> str:
        """Why this can't be done now, by our rules or by its system's word; "" when it can."""
        return self._refusal(operation) or operation.against

    def _refusal(self, operation: Operation) -> str:
        slug = operation.slug
        action = replace(
            actions.BY_ID["operate"],
            label=operation.label,
            mails=operation.mails,
            role="operator" if slug else "admin",
        )
        trouble = self.carrier_trouble.get(operation.source, "")
        context = replace(self.context(slug or None), carrier_trouble=trouble)
        if refusal := actions.authorize(action, context):
            return refusal
        if operation.mails and not slug and (hold := self._hold_on(operation.source)) is not None:
            by = hold.by or "nobody known"
            return f"People may get mail by it, and {hold.scope} is on hold by {by}: {hold.reason}"
        return ""

    def _hold_on(self, source: str) -> "Hold | None":
        """A hold on everything, on this system, or on a campaign that it has: mail of that may be among it."""
        for report in self.watch.heard()[0].values():
            for hold in report.holds:
                if not hold.scope.startswith("host:") or hold.scope == f"host:{source}":
                    return hold
        for verdict in self.board().verdicts:
            if any(o.source == source and o.says != "absent" for o in verdict.observations):
                for o in verdict.observations:
                    if o.holds:
                        return o.holds[0]
        return None

    def confirm_operation(self, operation: Operation, value: str = "") -> Confirmation:
        """What must be read and typed before it, by a look now. Raises Refused when it isn't allowed now."""
        from opsconsole.operations import confirm_operation

        now = self._operation_now(operation)
        return confirm_operation(
            now,
            value,
            named=self.verdict(now.slug).details.name if now.slug else "",
            environment=self.environment,
            danger=self.settings.danger,
            where=self.where(now.source),
        )

    def operate(
        self,
        operation: Operation,
        value: str,
        typed: str,
        reason: str,
        on_output: Callable[[bytes], None],
        stop: Event,
    ) -> Operated:
        """Do what was shown as `operation`, if it is still that. Looked at again first; recorded before and after.

        `stop` ends a long one between two of its steps.
        """
        from opsconsole.operations import check_value

        self.confirm_operation(operation, value).check(typed, reason)
        self.watch.refresh()
        now = self._operation_now(operation)
        try:
            return self._operations().operate(now, check_value(now, value), reason, on_output, stop)
        finally:
            self.watch.refresh((operation.source, "console"))
            self.tidy()

    def _operation_now(self, seen: Operation) -> Operation:
        """As it is now, and allowed. Raises Refused."""
        if seen.slug:
            self.verdict(seen.slug)
        self._allow(seen)
        now = self._operations().again(seen)
        self._allow(now)
        return now

    def _allow(self, operation: Operation) -> None:
        if refusal := self._refusal(operation):
            raise Refused(refusal, "Nothing was done.")
