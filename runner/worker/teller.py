"""Writes steps: those that come at the same time and belong together go in one transaction.

A campaign's item is looked at and counted in by every recipient's steps, and DynamoDB bounds what one item bears
and lets one of two transactions on it fail. So a process has one thread that writes, and the threads that send
wait for it: many at a time share a transaction, one alone has its own at once. Nothing is begun ahead: of a killed
worker no more are unknown than it has threads.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

from runner.worker.schema import State
from runner.worker.steps import MOST, Begin, End, Item, Record, Request, Step, Tables, transaction

PATIENCE: Final = 10.0  # seconds that a begin is tried for; the message can come again
LAST: Final = 120.0  # seconds that an end is tried for: it can't be found out again
_SLOWEST: Final = 2.0  # seconds between two tries


class Busy(Exception):
    """It couldn't be written in time. Of a begin nothing may be sent, though it may have been written."""


@dataclass(frozen=True, slots=True)
class Held:
    """The campaign doesn't let it be written; its item as it was then, None when there is none."""

    campaign: Item | None


@dataclass(frozen=True, slots=True)
class Exists:
    """Somebody has this recipient; the delivery as it was then."""

    delivery: Item


class Written:
    """It is written."""


WRITTEN: Final = Written()
Answer = Written | Held | Exists


class Cancelled(Exception):
    """The transaction wasn't done: a code for each of its parts ("" for none), and the items that were there."""

    def __init__(self, reasons: Sequence[tuple[str, Item | None]]) -> None:
        super().__init__(", ".join(code or "-" for code, _ in reasons))
        self.reasons = reasons


class NotNow(Exception):
    """Throttled, or the answer was lost: worth another try."""


@dataclass(slots=True)
class _Asked:
    step: Step
    answer: "Future[Answer]"
    until: float
    tries: int = 0


class Teller:
    """`write` does one transaction, or raises Cancelled, NotNow, or anything else for what a try won't mend."""

    def __init__(self, tables: Tables, write: Callable[[list[Request]], object], *, last: float = LAST) -> None:
        self._tables, self._write, self._last = tables, write, last
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)
        self._thread.start()

    def ask(self, step: Step) -> "Future[Answer]":
        """Of a Begin: Written, Held or Exists. Of a Record: the same. Of an End: Written, or Exists when another
        has ended it meanwhile, or Held when the campaign isn't there any more. Its exception may be Busy."""
        patience = self._last if isinstance(step, End) else PATIENCE
        asked = _Asked(step, Future(), time.monotonic() + patience)
        with self._changed:
            self._waiting.append(asked)
            self._changed.notify()
        return asked.answer

    def close(self) -> None:
        """Write what was asked for, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                group = self._next()
            try:
                self._settle(group)
            except Exception as error:
                for asked in group:
                    if not asked.answer.done():
                        asked.answer.set_exception(error)

    def _next(self) -> list[_Asked]:
        """The oldest one, and what may go with it; a transaction has a contact once."""
        together, seen = self._waiting[0].step.together, set[str]()
        group: list[_Asked] = []
        rest: deque[_Asked] = deque()
        for asked in self._waiting:
            step = asked.step
            if len(group) < MOST and step.together == together and step.contact_email not in seen:
                seen.add(step.contact_email)
                group.append(asked)
            else:
                rest.append(asked)
        self._waiting = rest
        return group

    def _settle(self, group: list[_Asked]) -> None:
        try:
            self._write(transaction(self._tables, [asked.step for asked in group]))
        except NotNow as error:
            self._again(group, str(error))
        except Cancelled as error:
            self._sort_out(group, error.reasons)
        else:
            for asked in group:
                asked.answer.set_result(WRITTEN)

    def _sort_out(self, group: list[_Asked], reasons: Sequence[tuple[str, Item | None]]) -> None:
        (held, campaign), *others = reasons
        again: list[_Asked] = []
        mishap = ""
        for asked, (code, item) in zip(group, others, strict=True):
            if code == "ConditionalCheckFailed":
                answer = resolved(asked.step, item or {})
                if isinstance(answer, Begin | End):
                    again.append(_Asked(answer, asked.answer, asked.until))
                else:
                    asked.answer.set_result(answer)
            elif held == "ConditionalCheckFailed":
                asked.answer.set_result(Held(campaign))
            else:
                again.append(asked)
                mishap = mishap or code
        mishap = mishap or (held if held != "ConditionalCheckFailed" else "")
        if mishap:
            self._again(again, mishap)
        else:  # only those who had another state were in the way
            self._put_first(again)

    def _again(self, group: list[_Asked], why: str) -> None:
        kept = []
        for asked in group:
            asked.tries += 1
            if time.monotonic() >= asked.until:
                asked.answer.set_exception(Busy(why))
            else:
                kept.append(asked)
        if kept:
            most = min(_SLOWEST, 0.02 * 2 ** max(asked.tries for asked in kept))
            time.sleep(random.uniform(0, most))  # noqa: S311 - only spreads workers apart
            self._put_first(kept)

    def _put_first(self, group: list[_Asked]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(group))


def resolved(step: Step, old: Item) -> "Answer | Begin | End":
    """What it means that a step's condition failed at this delivery: an answer, or what to write instead."""
    state, ours = old.get("state"), old.get("begin_id")
    if isinstance(step, Begin):
        if ours == step.begin_id and state == State.SENDING:
            return WRITTEN
        return replace(step, again=True) if state == State.RESEND and not step.again else Exists(old)
    if isinstance(step, Record):
        mine = (old.get("worker"), old.get("begun_at")) == (step.worker, step.now)
        return WRITTEN if mine and state == step.state else Exists(old)
    if ours != step.begin_id or state == step.state:
        return WRITTEN if ours == step.begin_id else Exists(old)
    # Declared unknown, or to be sent again, while the answer was awaited: what really happened holds.
    if state in (State.UNKNOWN, State.RESEND) and step.state is not State.UNKNOWN:
        return replace(step, former=State(state))
    return Exists(old)
