"""Work that blocks, in a thread of its own, with its result brought back to the screens' loop."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from textual.app import App
from textual.message_pump import MessagePump
from textual.widget import Widget

from screens.messages import Failed

T = TypeVar("T")


def in_thread(
    owner: Widget | App[Any],
    work: Callable[[], T],
    done: Callable[[T], object],
    failed: Callable[[Exception], object] | None = None,
    name: str = "screen-work",
) -> threading.Thread:
    """Run `work` in a daemon thread, then `done` with its result (or `failed` with its error) on the loop.

    Nothing is called once `owner` is gone. Without `failed` the app is told and shows the error.
    """
    app = owner if isinstance(owner, App) else owner.app

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            if failed is not None:
                deliver(owner, failed, error)
            else:
                with suppress(RuntimeError):  # the loop is closed: the app has ended
                    app.post_message(Failed(error))
            return
        deliver(owner, done, result)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def deliver(owner: MessagePump, callback: Callable[[T], object], value: T) -> bool:
    """Call `callback(value)` on the loop, from any thread; False when `owner` no longer listens."""

    def call() -> None:
        if owner.is_running and (isinstance(owner, App) or getattr(owner, "is_attached", True)):
            callback(value)

    try:
        return owner.call_later(call)
    except RuntimeError:  # the loop is closed
        return False
