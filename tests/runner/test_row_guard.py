"""Given a row that runs away in the process that sends, then it is cut off there, and nothing else is."""

import asyncio
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from runner.message.guard import GUARD, RowTimeout, row_guard
from runner.message.template import Source, Template, TemplateError

SHORT = 0.1
LOOPS = Template(Source("{% for a in range(n|int) %}{% for b in range(n|int) %}{% endfor %}{% endfor %}", "t"))
ENDLESS, SHORT_ONE = {"n": "99999"}, {"n": "3"}


def with_uvloop(work: Coroutine[Any, Any, None]) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("run", [asyncio.run, with_uvloop])
def test_a_loop_of_events_goes_on_after_a_row_was_cut_off(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def rows() -> None:
        beats = asyncio.create_task(beat())
        for _ in range(2):
            await asyncio.sleep(0)
            with pytest.raises(RowTimeout), row_guard(SHORT):
                LOOPS.render(ENDLESS)
            await asyncio.sleep(0)
            with row_guard(SHORT):
                assert LOOPS.render(SHORT_ONE) == ""
        await asyncio.to_thread(time.sleep, 0.001)
        await beats

    async def beat() -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)

    run(rows())


def test_rows_that_are_in_time_are_left_alone_however_many_they_are() -> None:
    end = time.process_time() + 2 * SHORT
    while time.process_time() < end:
        with row_guard(SHORT):
            LOOPS.render({"n": "30"})


def rest() -> None:
    """Work on until the guard has seen that no row is rendered."""
    deadline = time.process_time() + 50 * SHORT
    while any(signal.getitimer(signal.ITIMER_PROF)) and time.process_time() < deadline:
        burn(SHORT / 8)


def test_nothing_is_left_once_no_row_is_rendered() -> None:
    rest()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with row_guard(SHORT):
        assert resource.getrlimit(resource.RLIMIT_DATA) != before
    rest()
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with pytest.raises(RowTimeout), row_guard(SHORT):
        LOOPS.render(ENDLESS)


def test_work_between_the_rows_is_never_cut_off() -> None:
    for _ in range(3):
        with row_guard(SHORT):
            pass
        burn(SHORT)


def test_a_row_that_asks_for_too_much_memory_is_refused_and_threads_can_be_started_meanwhile() -> None:
    huge = Template(Source("{{ n|center(400000000)|length }}", "t"))
    with pytest.raises(TemplateError, match="MemoryError"), row_guard():
        huge.render({"n": "x"})
    with row_guard():
        gate = threading.Event()
        threads = [threading.Thread(target=lambda: (bytearray(1 << 20), gate.wait(10))) for _ in range(12)]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join()


def test_another_thread_is_not_guarded_and_does_not_trouble_the_main_one() -> None:
    def render() -> None:
        with row_guard(SHORT):
            seen.append(GUARD.inside)

    seen: list[bool] = []
    with row_guard(SHORT):
        pass
    thread = threading.Thread(target=render)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_child_has_its_own_guard() -> None:
    with row_guard(SHORT):
        pass
    child = os.fork()
    if child == 0:
        try:
            with row_guard(SHORT):
                LOOPS.render(ENDLESS)
        except RowTimeout:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
