"""From the keys that tell a run how to go on to the console: another rate, another account."""

from typing import TYPE_CHECKING

from opsconsole.ports import RunState
from opsconsole.wishes import Wish, other_account, say_wish
from screens.asking import work
from screens.perform import confirmed

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp


def rate(ops: "OpsConsoleApp", slug: str) -> None:
    """Ask for the number, and why; then tell the run."""
    from screens.rateform import RateForm

    if ops.asking:
        return
    verdict = ops.get(slug)
    run = verdict.run if verdict else None

    def answered(answer: tuple[str, str] | None) -> None:
        if answer is not None:
            value, reason = answer
            job = lambda: ops.ops_console.steer(slug, "rate", value, reason=reason)  # noqa: E731
            work(ops, f"rate {slug}", job, lambda state: _said(ops, state, Wish.RATE, value))

    speed = f"{run.rate:,.1f} a second" if run and run.rate is not None else ""
    ops.push_screen(RateForm(slug, run.going.rate_limit if run else "", speed), answered)


def account(ops: "OpsConsoleApp", slug: str) -> None:
    """Ask twice whether the rest shall go out by the account that isn't in use."""
    verdict = ops.get(slug)
    wanted = other_account(verdict.run.going.account if verdict and verdict.run else "")

    def do(typed: str, reason: str) -> RunState:
        return ops.ops_console.steer(slug, "account", wanted, typed, reason)

    confirmed(ops, "account", slug, do, lambda state: _said(ops, state, Wish.ACCOUNT, wanted), key=wanted)


def _said(ops: "OpsConsoleApp", state: object, wish: Wish, asked: str) -> None:
    assert isinstance(state, RunState)
    going = state.word.going
    now = going.rate_limit if wish is Wish.RATE else going.account
    so_far = "" if now == asked else f" Its runner says so far: {say_wish(wish, now)}."
    ops.tell(f"{say_wish(wish, asked).capitalize()}: {state.slug}. Recorded.{so_far}")
