"""From a key to the console: the right screen, form or confirmation, and what came of it.

Rules are not here: the console refuses what must not be done, whoever asks. Whatever blocks runs in a thread.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opsconsole import actions
from screens.asking import Answer, Question, ask, notice, question, show, work

if TYPE_CHECKING:
    from opsconsole.plan import Plan
    from screens.app import OpsConsoleApp

OPENED = frozenset(
    {"open", "preflight", "dry-run", "attach", "host", "audit", "access", "doubt", "report", "operations"}
)
SEEN_FIRST = frozenset({"settle", "send-rest", "close"})
"""Decisions about a broken run: taken on the screen that shows all that is known of it."""
DONE = {
    "pause": "Paused",
    "resume": "Resumed",
    "stop": "Stopping",
    "hold": "On hold",
    "release": "Released",
    "close": "Closed as it is",
    "release-claim": "Claim given back; a new attempt can be planned",
    "mark": "Marked as executed",
    "reschedule": "Rescheduled",
    "cancel": "Called off, nothing will start it",
    "adopt": "Adopted",
    "break-glass": "Glass broken: no second person is asked for, others were notified",
}


def perform(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    """Do it, or say in a toast why not."""
    if not ops.console_ready:
        ops.tell(ops.start_trouble or "The console is still starting; try again in a moment.", "warning")
    elif reason := ops.disabled_reason(action_id, slug):
        ops.tell(f"{slug}: {reason}" if slug else reason, "warning")
    elif action_id in OPENED or action_id in SEEN_FIRST:
        _open(ops, action_id, slug)
    elif action_id == "refresh":
        ops.tell("Asking every source…", timeout=2.0)
        work(ops, "refresh", lambda: ops.ops_console.refresh(), lambda _: None)
    elif action_id == "send":
        _send(ops, slug)
    elif action_id == "trigger-off":
        from screens.triggers import switch_off

        switch_off(ops, slug)
    elif action_id in ("mark", "reschedule", "cancel", "adopt"):
        from screens import deciding

        getattr(deciding, action_id)(ops, slug)
    elif action_id in ("pause", "resume"):
        work(
            ops, f"{action_id} {slug}", lambda: ops.ops_console.signal(slug, action_id), said(ops, action_id, slug)
        )
    elif action_id in ("rate", "account"):
        from screens import steering

        getattr(steering, action_id)(ops, slug)
    elif actions.BY_ID[action_id].danger is actions.Danger.DESTRUCTIVE:
        confirmed(ops, action_id, slug)
    else:
        _with_reason(ops, action_id, slug)


def _open(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    match action_id:
        case "open":
            from screens.campaign import CampaignScreen

            show(ops, CampaignScreen(slug))
        case "preflight":
            from screens.preflight import PreflightScreen

            show(ops, PreflightScreen(slug))
        case "dry-run":
            from screens.dryrun import DryRunScreen

            show(ops, DryRunScreen(slug))
        case "attach":
            from screens.run import RunScreen

            show(ops, RunScreen(slug))
        case "report":
            from screens.report import ReportScreen

            show(ops, ReportScreen(slug))
        case "host":
            from screens.host import HostScreen

            show(ops, HostScreen())
        case "operations":
            from screens.operations import OperationsScreen

            show(ops, OperationsScreen(slug))
        case "access":
            from screens.access import AccessScreen

            show(ops, AccessScreen())
        case "audit":
            from screens.audit import AuditScreen

            show(ops, AuditScreen(slug or None))
        case _:
            from screens.doubt import DoubtScreen

            show(ops, DoubtScreen(slug))
            if action_id != "doubt":
                ops.tell("Look first: what every source says of this run. The same key then asks.")


def _send(ops: "OpsConsoleApp", slug: str) -> None:
    from screens.starting import start

    console = ops.ops_console

    def planned() -> "tuple[Plan, Question]":
        plan = console.plan(slug)
        return plan, question(console, "send", slug, plan)

    def asked(found: "tuple[Plan, Question]") -> None:
        plan, put = found

        def answered(answer: Answer) -> None:
            if answer is None:
                ops.tell(f"Nothing was sent: {slug} was not confirmed.")
                return
            start(ops, slug, "send", plan.run_id, plan.carrier, plan.attempt, lambda: console.send(plan, *answer))

        ask(ops, put, answered)

    work(ops, f"plan {slug}", planned, asked, lambda error: notice(ops, f"{slug} can't be sent now", error))


def confirmed(
    ops: "OpsConsoleApp",
    action_id: str,
    slug: str,
    do: Callable[[str, str], object] | None = None,
    done: Callable[[object], None] | None = None,
    failed: Callable[[Exception], None] | None = None,
    **asked: Any,
) -> None:
    """Ask twice, then `do(typed, reason)` in a thread, then `done` with what it gave back. `failed` is told
    why it can't be asked now; `asked` goes to the console's confirmation."""
    console = ops.ops_console
    doing = do or (lambda typed, reason: _do(ops, action_id, slug, typed, reason))

    def put(found: Question) -> None:
        def answered(answer: Answer) -> None:
            if answer is None:
                ops.tell(f"Nothing was done: {actions.BY_ID[action_id].label} of {slug} was not confirmed.")
                return
            work(ops, f"{action_id} {slug}", lambda: doing(*answer), done or said(ops, action_id, slug))

        ask(ops, found, answered)

    work(ops, f"{action_id} {slug}", lambda: question(console, action_id, slug, **asked), put, failed)


def _do(ops: "OpsConsoleApp", action_id: str, slug: str, typed: str, reason: str) -> object:
    console = ops.ops_console
    match action_id:
        case "stop":
            return console.signal(slug, action_id, typed, reason)
        case "release-claim":
            return console.release_claim(slug, typed, reason)
        case "break-glass":
            return console.break_glass(slug, typed, reason)
        case _:
            return console.decide(action_id, slug, reason, typed=typed)


def _with_reason(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    from screens.forms import ReasonForm

    if ops.asking:
        return

    def answered(reason: str | None) -> None:
        if reason is not None:
            job = lambda: ops.ops_console.decide(action_id, slug, reason)  # noqa: E731
            work(ops, f"{action_id} {slug}", job, said(ops, action_id, slug))

    title = f"{actions.BY_ID[action_id].label.capitalize()}: {slug}"
    ops.push_screen(ReasonForm(title), answered)


def said(ops: "OpsConsoleApp", action_id: str, slug: str) -> Callable[[object], None]:
    words = DONE.get(action_id, actions.BY_ID[action_id].label.capitalize())

    def done(_: object) -> None:
        ops.tell(f"{words}: {slug}. Recorded.")
        for line in ops.ops_console.unkept_hold(slug) if action_id == "hold" else ():
            ops.tell(line, "warning", timeout=20.0)

    return done
