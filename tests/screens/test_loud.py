"""Going loud: once for each transition, only by means the terminal knows, and with no text that acts."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.alive import leave_mark
from opsconsole.attention import Alarm, Event, Transition
from opsconsole.lookout import Lookout
from opsconsole.observation import Says
from screens.loud import POP_TITLE, PUSH_TITLE, Loud, desktop, takes_title
from tests.screens.night import Night, believable
from tests.screens.pty_app import Terminal
from tests.screens.stage import SLUG, Stage, screen_text, until

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
EVERYTHING = ("bell", "desktop", "toast", "title")
HOSTILE = "late\x1b]2;gone\x07\x1b[2J\u202e;x\x9c"
ALARM = Alarm(
    key="k",
    thread="k",
    environment="prod",
    campaign="paul-simon-may12",
    status="OVERDUE",
    severity="critical",
    why=HOSTILE,
    since=NOW,
    noticed=NOW,
)


class Ears:
    """Stands in for the app: what was said, and what was written to the terminal."""

    environment, is_headless, asking = "PROD", False, False

    def __init__(self) -> None:
        self.later: list[Callable[[], object]] = []
        self.told: list[tuple[str, str]] = []
        self.written: list[str] = []
        self._driver = self

    def write(self, sequence: str) -> None:
        self.written.append(sequence)

    def tell(self, text: str, severity: str, timeout: float) -> None:
        self.told.append((text, severity))

    def after_question(self, then: Callable[[], object]) -> None:
        self.later.append(then)


def begun(*names: str) -> list[Transition]:
    return [Transition(event=Event.TRIGGER, alarm=replace(ALARM, campaign=name), at=NOW) for name in names]


@pytest.mark.parametrize(
    ("env", "shows"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b]99;i=opsconsole:d=0;T\x1b\\\x1b]99;i=opsconsole:p=body;a;b\x1b\\"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;T: a;b\a"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "\x1b]9;T: a;b\a"),
        ({"TERM": "xterm-ghostty"}, "\x1b]9;T: a;b\a"),
        ({"TERM": "foot"}, "\x1b]777;notify;T;a,b\x1b\\"),
        ({"TERM": "rxvt-unicode-256color"}, "\x1b]777;notify;T;a,b\x1b\\"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "linux"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, None),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, None),
        ({}, None),
    ],
)
def test_only_a_terminal_known_to_take_it_gets_a_desktop_notification(
    env: dict[str, str], shows: str | None
) -> None:
    notify = desktop(env)
    assert (notify("T", "a;b") if notify else None) == shows


def test_the_linux_console_gets_no_title() -> None:
    assert takes_title({"TERM": "xterm-256color"})
    assert not takes_title({"TERM": "linux"})
    assert not takes_title({})


def test_over_an_open_question_it_rings_at_once_and_shows_its_words_after_the_answer() -> None:
    ears: Any = Ears()
    ears.asking = True
    Loud(EVERYTHING, {}).ring(ears, begun("paul-simon-may12"))
    assert "\a" in ears.written
    assert not ears.told
    (answered,) = ears.later
    answered()
    assert ears.told[0][0].startswith("paul-simon-may12 is OVERDUE")


@pytest.mark.parametrize("term", ["xterm-kitty", "foot", "xterm-ghostty"])
def test_no_text_from_outside_acts_in_a_notification(term: str) -> None:
    ears: Any = Ears()
    loud = Loud(EVERYTHING, {"TERM": term})
    loud.ring(ears, begun("paul-simon-may12"))
    loud.title(ears, 3)
    written = "".join(ears.written)
    # What remains once our own sequences are taken out is plain text.
    plain = re.sub(r"\x1b\](?:9|99|777|2);([^\x1b\a]*)(?:\a|\x1b\\)|\x1b\[2[23];2t", r"\1", written)
    assert plain.count("\a") == 1, "the bell itself"
    assert not re.search(r"[\x00-\x06\x08-\x1f\x7f-\x9f\u202e]", plain)
    assert "\\x1b]2" in plain, "shown instead"


def test_several_at_once_ring_once_and_an_end_rings_never() -> None:
    ears: Any = Ears()
    loud = Loud(EVERYTHING, {"TERM": "xterm"})
    loud.ring(ears, begun(*(f"spring-{n}" for n in range(7))))
    ((text, severity),) = ears.told
    assert text.startswith("7 campaigns need attention: spring-0 OVERDUE, ")
    assert text.endswith("and 2 more")
    assert (severity, ears.written) == ("error", ["\a"])
    loud.ring(ears, [Transition(event=Event.RESOLVE, alarm=ALARM, at=NOW)])
    assert len(ears.told) == len(ears.written) == 1


def test_muted_and_not_chosen_are_silent() -> None:
    ears: Any = Ears()
    silent = Loud((), {"TERM": "xterm-kitty"})
    silent.ring(ears, begun("a"))
    silent.title(ears, 3)
    silent.leave(ears)
    muted = Loud(EVERYTHING, {"TERM": "xterm-kitty"})
    assert muted.mute().startswith("Muted")
    muted.ring(ears, begun("a"))
    assert (ears.told, ears.written) == ([], [])
    assert muted.mute() == "Loud again."
    muted.ring(ears, begun("a"))
    assert len(ears.told) == 1


def test_the_title_counts_and_comes_back() -> None:
    ears: Any = Ears()
    loud = Loud(("title",), {"TERM": "xterm-256color"})
    for count in (3, 3, 1, 0):
        loud.title(ears, count)
    loud.leave(ears)
    loud.leave(ears)
    assert ears.written == [
        f"{PUSH_TITLE}\x1b]2;opsconsole PROD (3 need attention)\a",
        "\x1b]2;opsconsole PROD (1 needs attention)\a",
        "\x1b]2;opsconsole PROD\a",
        f"\x1b]2;\a{POP_TITLE}",
    ]


async def test_a_campaign_that_comes_to_need_somebody_is_toasted_once_and_m_mutes(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.host.due += timedelta(hours=3)
    app = stage.app()
    app.loud = Loud(EVERYTHING, {}, Lookout("prod", tmp_path / "rung.json"))
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.console_ready and app.get(SLUG) is not None)
        assert not [n for n in app._notifications if SLUG in n.message]
        stage.host.says = Says.STARTED
        stage.console.watch.refresh()
        await until(pilot, lambda: [n for n in app._notifications if "IN DOUBT" in n.message])
        stage.console.watch.refresh()
        await pilot.pause()
        assert len([n for n in app._notifications if "IN DOUBT" in n.message]) == 1
        await pilot.press("M")
        await until(pilot, lambda: "MUTED" in screen_text(pilot))
        assert app.loud.muted


@pytest.mark.slow
async def test_m6_the_board_says_within_a_minute_that_nobody_is_paged_any_more(tmp_path: Path) -> None:
    from opsconsole.alive import missed

    mark = tmp_path / "watching.json"
    stage = Stage(tmp_path)
    leave_mark(mark, stage.clock() - timedelta(seconds=50))
    app = stage.app()
    app.loud = Loud((), {}, None, lambda now: missed(mark, now))
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: "no sign of life for 50 s: nobody is paged" in screen_text(pilot))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(str(tmp_path), "loud")
    yield made
    made.close()


@pytest.mark.slow
def test_in_a_real_terminal_it_rings_and_gives_the_title_back(terminal: Terminal) -> None:
    terminal.read(until=b"need attention)\a")
    written = terminal.read(until=b"\x1b]99;i=opsconsole:p=body;")
    assert PUSH_TITLE.encode() in written
    terminal.child.terminate()
    written = terminal.read()
    terminal.child.wait(20)
    assert written.rindex(POP_TITLE.encode()) > written.rindex(b"need attention)\a")


def test_a_night_is_silent_for_what_was_rung_for_before(tmp_path: Path) -> None:
    night: Night = believable(tmp_path)
    console = night.build()
    console.watch.refresh()
    path = tmp_path / "rung.json"
    first = Loud(EVERYTHING, {}, Lookout("prod", path))
    assert first.look(console, console.board())
    again = Loud(EVERYTHING, {}, Lookout("prod", path))
    assert again.look(console, console.board()) == ()
    console.close()
