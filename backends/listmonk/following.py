"""Follows a campaign: progress and log lines, through listmonk being out of reach, until it is reconciled."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from threading import Event

from backends.listmonk.control import Control, Look
from backends.listmonk.reconcile import RECONCILED, aftermath
from backends.listmonk.runfile import RunFile
from opsconsole.config import duration
from opsconsole.observation import Says
from opsconsole.ports import Followed, NotThere, OutOfReach, RunState, Trouble


def follow(
    control: Control,
    slug: str,
    attempt: int,
    offset: int,
    on_output: Callable[[bytes], None],
    stop: Event,
    every: timedelta | None = None,
) -> Followed:
    """Hand over the run's log from byte `offset` until the run has ended and was reconciled, or `stop` is set.

    Raises Trouble where there is no such run, and where its log is shorter than what was read of it before.
    """
    pause = (every or duration(control.settings.refresh_every)).total_seconds()
    state: RunState | None = _run(control.look(slug), attempt)
    file = control.file(control.find(slug))
    if file.size < offset:
        raise Trouble(
            f"The log of {slug} here is shorter than the {offset:,} bytes read before.",
            "Somebody deleted it, or this is another machine.",
            "Save what was read, and follow it from the beginning.",
        )
    while True:
        if state is not None and state.says is Says.ENDED:
            try:
                state = ended(control, slug, attempt) or state
            except OutOfReach:
                state = None  # reconciled when it is in reach again
        offset = _hand_over(file, offset, on_output)
        if state is not None and state.says is Says.ENDED:
            return Followed(offset=offset, end=state)
        if stop.wait(pause):
            return Followed(offset=offset, end=None)
        try:
            state = _run(control.look(slug), attempt)
        except OutOfReach:
            state = None


def ended(control: Control, slug: str, attempt: int) -> RunState | None:
    """Reconcile a run that has ended, once: what came of it stands at the end of its log. Raises OutOfReach."""
    look = control.look(slug)
    state = look.state
    if state is None or state.says is not Says.ENDED or state.attempt != attempt:
        return None
    file = control.file(look.campaign)
    found = aftermath(control, look).lines() if not file.said(RECONCILED) else ()
    with suppress(OSError):  # a full disk costs what it would say there; the state says as much
        for line in found:
            file.say(line, control.now)
    return control.judge(slug, look.campaign, None, look.tuning).state


def _run(look: Look, attempt: int) -> RunState:
    if look.state is None or look.state.attempt != attempt:
        raise NotThere(
            f"{look.slug} has no run {attempt}: it is {look.campaign.status} in listmonk.",
            "There is nothing to follow.",
            "Look at the run's state.",
        )
    return look.state


def _hand_over(file: RunFile, offset: int, on_output: Callable[[bytes], None]) -> int:
    while data := file.read(offset):
        whole = data[: data.rfind(b"\n") + 1] or data
        on_output(whole)
        offset += len(whole)
    return offset
