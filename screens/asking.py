"""What every way from a key to the console shares: work in a thread, the question before it, the answer after."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rich.text import Text

from opsconsole.observation import RunWord
from opsconsole.ports import Refused, Trouble
from opsconsole.safety import approval_for, check_releaser, say_approval
from opsconsole.schedule import say_instant, say_span
from screens.safe import safe
from screens.whereabouts import Whereabouts, whereabouts
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.console import Console
    from opsconsole.plan import Plan
    from opsconsole.safety import Confirmation
    from opsconsole.verdict import Verdict
    from screens.app import OpsConsoleApp
    from screens.base import ConsoleScreen

T = TypeVar("T")
Answer = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A confirmation with what is seen at the moment of asking: who answers, and what runs out when."""

    confirmation: "Confirmation"
    slug: str
    live: Whereabouts | None
    ends: tuple[tuple[str, datetime], ...]


def question(
    console: "Console",
    action_id: str,
    slug: str,
    plan: "Plan | None" = None,
    lines: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Question:
    """What to ask, with `lines` of the screen's own. Blocks a little: call it in a thread.

    Raises Refused when the action is not allowed now.
    """
    confirmation = console.confirmation(action_id, slug, plan, **more)
    verdict = console.verdict(slug)
    if action_id == "release-claim":
        lines += _of_claim(console, verdict)
    elif action_id == "break-glass":
        lines += _of_glass(console, verdict)
        confirmation = replace(confirmation, danger=True)
    confirmation = replace(confirmation, lines=(*confirmation.lines, *lines))
    try:
        live = whereabouts(console, console.carrier_of(slug).name)
    except Refused:  # nothing carries it: a decision needs no host
        live = None
    ends: list[tuple[str, datetime]] = []
    if plan is not None:
        ends += [("plan", plan.expires_at), ("dry run", plan.dry_run_at + console.policy.dry_run_valid_for)]
        if plan.latest_start is not None:
            ends.append(("time to start", plan.latest_start))
        approval = approval_for(verdict, plan.planned_by, console.policy)
        if approval is not None and approval.expires is not None:
            ends.append((f"approval by {approval.by}", approval.expires))
    return Question(confirmation, slug, live, tuple(ends))


def _of_claim(console: "Console", verdict: "Verdict") -> tuple[tuple[str, str], ...]:
    """Whose claim it is; refused here already where it is the asker's own, before anything was typed."""
    run = verdict.run or RunWord()
    check_releaser(console.identity.operator, (run.by,), verdict)
    at = f" {say_instant(run.claimed_at, verdict.details.zone, console.clock())}" if run.claimed_at else ""
    return (
        ("claimed", f"by {run.by or 'nobody known'}{at}, attempt {run.attempt}"),
        ("then", f"attempt {run.attempt + 1} can be planned, by a new dry run; this claim's record stays"),
    )


def _of_glass(console: "Console", verdict: "Verdict") -> tuple[tuple[str, str], ...]:
    policy = console.policy
    if policy.four_eyes:
        overrides = f"four eyes: {say_approval(verdict.approval, console.clock())} counts no more, you alone do"
    else:
        overrides = "nothing now: four eyes are not asked for in this environment"
    names = ", ".join(name.removeprefix("notify:") for name in console.notified)
    return (
        ("overrides", overrides),
        ("notifies", names or "nobody: no notification is configured. The audit record tells all the same"),
        ("lasts", f"{say_span(policy.break_glass_valid_for)}, for this campaign and this very content"),
    )


def ask(ops: "OpsConsoleApp", asked: Question, answered: Callable[[Answer], None]) -> None:
    """Put the question, unless another is open."""
    from screens.confirm import ConfirmScreen

    confirmation, slug = asked.confirmation, asked.slug
    if ops.asking:  # a question never jumps in front of another
        ops.tell(f"{confirmation.title}: not asked, for another question is open. Nothing was done.", "warning")
        return

    def record(where: str) -> None:
        note = lambda: ops.ops_console.note_refused_paste(slug, confirmation.action, where)  # noqa: E731
        in_thread(ops, note, lambda _: None, name="note-paste")

    screen = ConfirmScreen(confirmation, live=asked.live, ends=asked.ends, clock=ops.now, refused_paste=record)
    ops.push_screen(screen, answered)


def work(
    ops: "OpsConsoleApp",
    name: str,
    job: Callable[[], T],
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

    in_thread(ops, job, ended, broke, name=name)


def show(ops: "OpsConsoleApp", screen: "ConsoleScreen") -> None:
    """Open a screen, unless it is the one in front. It never pushes a question aside: it comes after it."""
    if ops.asking:
        ops.after_question(lambda: show(ops, screen))
        return
    front = ops.screen
    if not isinstance(front, type(screen)) or front.slug != screen.slug:
        ops.push_screen(screen)


def notice(ops: "OpsConsoleApp", title: str, error: Exception) -> None:
    """An answer that must be read: stays until it is put away, unlike a toast. Waits while a question is open."""
    from screens.widgets.aside import Aside

    if ops.asking:  # keys that are meant for the question would put it away unread
        ops.tell(f"{title}. The rest is told once this question is answered.", "error")
        ops.after_question(lambda: notice(ops, title, error))
        return
    ops.push_screen(Aside(say_error(title, error).append("\nesc goes back", "dim"), danger=True))


def say_error(title: str, error: Exception) -> Text:
    """All of a trouble, to be read: what happened, what it means, what to do next."""
    from opsconsole.errors import AuditUnavailable

    text = safe(title, 120, "bold #ff6b60").append("\n")
    told = isinstance(error, Trouble | AuditUnavailable)  # they tell all; anything else is our fault
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
    return text
