"""Which event loop a send runs on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from runner.settings import Sms, Smtp

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], account: Smtp | Sms) -> T:
    """asyncio.run; on uvloop where it is installed and the mail server is spoken to in clear.

    Under TLS the standard loop is the faster of the two.
    """
    with asyncio.Runner(loop_factory=_fast_loop() if account.tls == "none" else None) as runner:
        return runner.run(coroutine)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # an extra
    except ImportError:
        return None
    return uvloop.new_event_loop
