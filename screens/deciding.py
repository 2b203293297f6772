"""Decisions by key that ask for more than a reason: evidence, a new due time, triggers out of the way, a run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from opsconsole import actions
from opsconsole.foreign import say_run
from opsconsole.grounds import Ground
from opsconsole.ports import Refused
from opsconsole.proof import StillTriggered
from screens.asking import notice, say_error, work
from screens.perform import confirmed, said
from screens.widgets.aside import Aside

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp


def mark(ops: "OpsConsoleApp", slug: str) -> None:
    """Which evidence first, then both questions."""
    from screens.evidence import EvidenceForm

    verdict, console = ops.get(slug), ops.ops_console
    if verdict is None or ops.asking:
        return

    def chosen(evidence: tuple[Ground, ...] | None) -> None:
        if evidence is not None:
            confirmed(
                ops,
                "mark",
                slug,
                lambda typed, reason: console.decide("mark", slug, reason, typed=typed, evidence=evidence),
                evidence=evidence,
            )

    operator = console.identity.operator
    ops.push_screen(EvidenceForm(_title("mark", slug), verdict, operator, ops.now()), chosen)


def reschedule(ops: "OpsConsoleApp", slug: str) -> None:
    from screens.due import DueForm

    verdict, console = ops.get(slug), ops.ops_console
    if verdict is None or ops.asking:
        return

    def answered(answer: tuple[str, str, int | None] | None) -> None:
        if answer is not None:
            reason, local, fold = answer
            work(
                ops,
                f"reschedule {slug}",
                lambda: console.decide("reschedule", slug, reason, local=local, fold=fold),
                said(ops, "reschedule", slug),
            )

    ops.push_screen(DueForm(_title("reschedule", slug), verdict.details.zone, ops.local_zone, ops.now), answered)


def cancel(ops: "OpsConsoleApp", slug: str) -> None:
    """Both questions; where something can still start it, that is offered to be switched off first."""

    def refused(error: Exception) -> None:
        if isinstance(error, StillTriggered) and error.switchable and not ops.asking:
            take = lambda action_id: ops.perform(action_id, slug)  # noqa: E731
            ops.push_screen(TriggerOffer(f"{slug} can't be called off yet", error, take))
        else:
            notice(ops, f"{slug} can't be called off now", error)

    confirmed(ops, "cancel", slug, failed=refused)


def adopt(ops: "OpsConsoleApp", slug: str) -> None:
    """What would be recorded of the run, and why."""
    from screens.forms import ReasonForm

    verdict = ops.get(slug)
    if verdict is None or ops.asking:
        return
    try:
        lines = say_run(verdict.observations, verdict.details.zone, ops.now())
    except Refused as error:
        notice(ops, f"{slug}: not adopted", error)
        return

    def answered(reason: str | None) -> None:
        if reason is not None:
            job = lambda: ops.ops_console.decide("adopt", slug, reason)  # noqa: E731
            work(ops, f"adopt {slug}", job, said(ops, "adopt", slug))

    ops.push_screen(ReasonForm(_title("adopt", slug), lines), answered)


class TriggerOffer(Aside):
    """What can still start a campaign that was to be called off; `take` gets the action that is chosen instead."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("F", "take('trigger-off')", "switch off", show=False),
        Binding("h", "take('hold')", "hold", show=False),
    ]

    def __init__(self, title: str, error: StillTriggered, take: Callable[[str], None]) -> None:
        text = say_error(title, error).append("\nF switches a trigger off · h holds it · esc goes back", "dim")
        super().__init__(text, danger=True)
        self._take = take

    def action_take(self, action_id: str) -> None:
        self.dismiss()
        self.app.call_later(self._take, action_id)


def _title(action_id: str, slug: str) -> str:
    return f"{actions.BY_ID[action_id].label.capitalize()}: {slug}"
