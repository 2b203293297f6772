"""Which event loop a send runs on."""

import asyncio
import builtins
from typing import Any

import pytest

from runner.channel import loop
from runner.settings import Smtp


async def _loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.parametrize(("tls", "module"), [("none", "uvloop"), ("tls", "asyncio"), ("starttls", "asyncio")])
def test_given_uvloop_then_it_is_taken_in_clear_alone(tls: str, module: str) -> None:
    assert loop.run(_loop(), Smtp("127.0.0.1", 25, tls)) == module


def test_given_no_uvloop_then_the_standard_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "uvloop":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert loop.run(_loop(), Smtp("127.0.0.1", 25, "none")) == "asyncio"
