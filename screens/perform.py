"""From a key to the console: the right screen, form or confirmation, and what came of it.

Rules are not here: the console refuses what must not be done, whoever asks. Whatever blocks runs in a thread.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from opsconsole import actions
from opsconsole.ports import MaybeStarted, Refused, Started, Trouble
from screens.safe import safe
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.plan import Plan
    from opsconsole.safety import Confirmation
    from screens.app import OpsConsoleApp
    from screens.base import ConsoleScreen

T = TypeVar("T")
Answer = tuple[str, str] | None
DONE = {"pause": "Paused", "resume": "Resumed", "stop": "Stopping", "hold": "On hold", "release": "Released"}


def perform(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    """Do it, or say in a toast why not."""
    if not ops.console_ready:
        ops.tell(ops.start_trouble or "The console is still starting; try again in a moment.", "warning")
    elif reason := ops.disabled_reason(action_id, slug):
        ops.tell(f"{slug}: {reason}" if slug else reason, "warning")
    elif action_id in ("open", "preflight", "dry-run", "attach", "host", "audit"):
        _open(ops, action_id, slug)
    elif action_id == "refresh":
        ops.tell("Asking every source…", timeout=2.0)
        _work(ops, "refresh", lambda: ops.ops_console.refresh(), lambda _: None)
    elif action_id == "send":
        _send(ops, slug)
    elif action_id in ("pause", "resume"):
        _work(
            ops, f"{action_id} {slug}", lambda: ops.ops_console.signal(slug, action_id), _said(ops, action_id, slug)
        )
    elif actions.BY_ID[action_id].danger is actions.Danger.DESTRUCTIVE:
        _confirmed(ops, action_id, slug)
    else:
        _with_reason(ops, action_id, slug)


def show(ops: "OpsConsoleApp", screen: "ConsoleScreen") -> None:
    """Open a screen, unless it is the one in front."""
    front = ops.screen
    if not isinstance(front, type(screen)) or front.slug != screen.slug:
        ops.push_screen(screen)


def notice(ops: "OpsConsoleApp", title: str, error: Exception) -> None:
    """An answer that must be read: stays until it is put away, unlike a toast."""
    from screens.widgets.aside import Aside

    text = safe(title, 120, "bold #ff6b60").append("\n")
    from opsconsole.audit.records import AuditUnavailable

    told = isinstance(
        error, Trouble | AuditUnavailable
    )  # these tell all there is; anything else is a fault of ours
    parts = (
        (error.what, error.means, error.next_step)
        if isinstance(error, Trouble | AuditUnavailable)
        else (str(error),)
    )
    for part in parts:
        if part:
            text.append("\n").append_text(safe(part, 2000)).append("\n")
    if not told:
        text.append_text(Text(f"\n{type(error).__name__}; please report this.\n", "dim"))
    ops.push_screen(Aside(text.append("\nesc goes back", "dim"), danger=True))


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
            _show_run(ops, slug, None)
        case "host":
            from screens.host import HostScreen

            show(ops, HostScreen())
        case _:
            from screens.audit import AuditScreen

            show(ops, AuditScreen(slug or None))


def _show_run(ops: "OpsConsoleApp", slug: str, attempt: int | None) -> None:
    from screens.run import RunScreen

    show(ops, RunScreen(slug, attempt))


def _send(ops: "OpsConsoleApp", slug: str) -> None:
    console = ops.ops_console

    def planned() -> "tuple[Plan, Confirmation]":
        plan = console.plan(slug)
        return plan, console.confirmation("send", slug, plan)

    def ask(found: "tuple[Plan, Confirmation]") -> None:
        plan, confirmation = found

        def answered(answer: Answer) -> None:
            if answer is None:
                ops.tell(f"Nothing was sent: {slug} was not confirmed.")
                return
            ops.tell(f"Starting {slug}: looking once more, then on the host…", timeout=4.0)
            _work(ops, f"send {slug}", lambda: console.send(plan, *answer), started, not_sure)

        def started(result: Started) -> None:
            if not result.fresh:
                ops.tell(f"This very run of {slug} was there already; nothing was started twice.", "warning")
            _show_run(ops, slug, result.state.attempt)

        def not_sure(error: Exception) -> None:
            if isinstance(error, MaybeStarted):
                _show_run(ops, slug, plan.attempt)
                notice(ops, f"{slug} may have started: look, don't send again", error)
            else:
                notice(ops, f"{slug} was not sent" if isinstance(error, Refused) else f"Sending {slug}", error)

        _ask(ops, confirmation, answered)

    _work(ops, f"send {slug}", planned, ask, lambda error: notice(ops, f"{slug} can't be sent now", error))


def _confirmed(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    console = ops.ops_console

    def do(typed: str, reason: str) -> object:
        if action_id == "stop":
            return console.signal(slug, action_id, typed, reason)
        return console.decide(action_id, slug, reason, typed=typed)

    def ask(confirmation: "Confirmation") -> None:
        def answered(answer: Answer) -> None:
            if answer is not None:
                _work(ops, f"{action_id} {slug}", lambda: do(*answer), _said(ops, action_id, slug))

        _ask(ops, confirmation, answered)

    _work(ops, f"{action_id} {slug}", lambda: console.confirmation(action_id, slug), ask)


def _with_reason(ops: "OpsConsoleApp", action_id: str, slug: str) -> None:
    from screens.forms import ReasonForm

    if ops.asking:
        return
    verdict = ops.get(slug)
    zone = (verdict.details.zone if verdict else "") or "UTC"

    def answered(answer: Answer) -> None:
        if answer is not None:
            reason, local = answer
            work = lambda: ops.ops_console.decide(action_id, slug, reason, local=local)  # noqa: E731
            _work(ops, f"{action_id} {slug}", work, _said(ops, action_id, slug))

    title = f"{actions.BY_ID[action_id].label.capitalize()}: {slug}"
    ops.push_screen(ReasonForm(title, ask_time=action_id == "reschedule", zone=zone), answered)


def _ask(ops: "OpsConsoleApp", confirmation: "Confirmation", answered: Callable[[Answer], None]) -> None:
    from screens.confirm import ConfirmScreen

    if ops.asking:  # a question never jumps in front of another
        ops.tell(f"{confirmation.title}: not asked, for another question is open. Nothing was done.", "warning")
        return
    ops.push_screen(ConfirmScreen(confirmation), answered)


def _said(ops: "OpsConsoleApp", action_id: str, slug: str) -> Callable[[object], None]:
    words = DONE.get(action_id, actions.BY_ID[action_id].label.capitalize())
    return lambda _: ops.tell(f"{words}: {slug}. Recorded.")


def _work(
    ops: "OpsConsoleApp",
    name: str,
    work: Callable[[], T],
    done: Callable[[T], None],
    failed: Callable[[Exception], None] | None = None,
) -> None:
    """In a thread, once at a time for each name: a key pressed twice does nothing twice."""
    if name in ops.busy:
        ops.tell(f"{name}: already on it.", timeout=3.0)
        return
    ops.busy.add(name)

    def ended(result: T) -> None:
        ops.busy.discard(name)
        done(result)

    def broke(error: Exception) -> None:
        ops.busy.discard(name)
        (failed or (lambda e: notice(ops, f"{name}: not done", e)))(error)

    in_thread(ops, work, ended, broke, name=name)
