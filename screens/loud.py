"""How the console makes itself heard: bell, desktop notification, toast and the terminal's title.

Desktop notifications go only to terminals known to take them: another would print them, or do something else. All
text passes `say`, so nothing in it ends a sequence or begins one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from screens.safe import say

if TYPE_CHECKING:  # none of it holds up the first paint
    from opsconsole.attention import Transition
    from opsconsole.board import Board
    from opsconsole.console import Console
    from opsconsole.lookout import Lookout
    from screens.app import OpsConsoleApp

BELL, OSC, END = "\a", "\x1b]", "\x1b\\"
PUSH_TITLE, POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"
NAMED = 5
"""So many campaigns are named at once; the rest are counted."""

Notify = Callable[[str, str], str]
"""From a title and a text, both harmless, to what is written to the terminal."""


def _osc9(title: str, text: str) -> str:
    return f"{OSC}9;{title}: {text}{BELL}"


def _osc777(title: str, text: str) -> str:
    return f"{OSC}777;notify;{title.replace(';', ',')};{text.replace(';', ',')}{END}"


def _osc99(title: str, text: str) -> str:
    return f"{OSC}99;i=opsconsole:d=0;{title}{END}{OSC}99;i=opsconsole:p=body;{text}{END}"


def desktop(env: Mapping[str, str]) -> Notify | None:
    """How this terminal shows a desktop notification; None when it isn't known to, or tmux or screen is between."""
    term, program = env.get("TERM", ""), env.get("TERM_PROGRAM") or env.get("LC_TERMINAL", "")
    if env.get("TMUX") or term.startswith(("tmux", "screen")):
        return None
    if term == "xterm-kitty" or env.get("KITTY_WINDOW_ID"):
        return _osc99
    if term.startswith(("foot", "rxvt-unicode")):
        return _osc777
    if term == "xterm-ghostty" or program in ("iTerm.app", "iTerm2", "WezTerm", "ghostty"):
        return _osc9
    return None


def takes_title(env: Mapping[str, str]) -> bool:
    """Whether this terminal has a title: the Linux console, for one, would print it."""
    known = ("xterm", "tmux", "screen", "rxvt", "foot", "alacritty", "wezterm", "kitty", "st-", "konsole", "vte")
    return env.get("TERM", "").startswith(known)


def write(app: "OpsConsoleApp", sequence: str) -> None:
    """Past the screen, what the terminal itself obeys."""
    if app._driver is not None and not app.is_headless:
        app._driver.write(sequence)


class Loud:
    """Rings once for each transition into *Needs attention*. `chosen` are the ways of `[screens] loud`.

    `lookout` remembers what was rung for; `unwatched` says that nobody is paged any more, or "".
    """

    def __init__(
        self,
        chosen: Collection[str],
        env: Mapping[str, str],
        lookout: "Lookout | None" = None,
        unwatched: Callable[[datetime], str] = lambda now: "",
    ) -> None:
        self._lookout, self._unwatched = lookout, unwatched
        self.nobody_paged = ""
        self._chosen = frozenset(chosen)
        self._desktop = desktop(env) if "desktop" in self._chosen else None
        self._has_title = "title" in self._chosen and takes_title(env)
        self._title = ""
        self.muted = False

    def look(self, console: "Console", board: "Board") -> "tuple[Transition, ...]":
        """What changed since the last look. Off the loop: it reads and writes files."""
        self.nobody_paged = self._unwatched(console.clock())
        changes = self._lookout.look(console, board) if self._lookout else ()
        if self._lookout:
            self._lookout.settle()
        return changes

    def mute(self) -> str:
        """Be silent, or loud again, for as long as this console is open; in words."""
        self.muted = not self.muted
        return "Muted: no bell, notification or toast. M makes it loud again." if self.muted else "Loud again."

    def ring(self, app: "OpsConsoleApp", changes: "Sequence[Transition]") -> None:
        """Once for all that began together; what ended makes no noise."""
        from opsconsole.attention import Event

        begun = [change for change in changes if change.event is Event.TRIGGER]
        if self.muted or not begun:
            return
        text = say_begun(begun)
        if "toast" in self._chosen:
            critical = any(change.alarm.severity == "critical" for change in begun)
            toast = partial(app.tell, text, "error" if critical else "warning", timeout=20.0)
            # Over an open question it would hide the buttons.
            app.after_question(toast) if app.asking else toast()
        if "bell" in self._chosen:
            write(app, BELL)
        if self._desktop is not None:
            write(app, self._desktop(say(f"opsconsole {app.environment}", 60), say(text, 200)))

    def title(self, app: "OpsConsoleApp", count: int) -> None:
        """How many campaigns need attention, in the terminal's title. What it was comes back at the end."""
        if not self._has_title:
            return
        needs = f" ({count} need{'s' if count == 1 else ''} attention)" if count else ""
        title = say(f"opsconsole {app.environment}{needs}", 80)
        if title != self._title:
            write(app, ("" if self._title else PUSH_TITLE) + f"{OSC}2;{title}{BELL}")
            self._title = title

    def leave(self, app: "OpsConsoleApp") -> None:
        """Give the title back; where a terminal keeps no former one, none is better than a count that is old."""
        if self._title:
            write(app, f"{OSC}2;{BELL}{POP_TITLE}")
            self._title = ""


def say_begun(begun: "Sequence[Transition]") -> str:
    """In one line: one campaign with its reason, several with their statuses."""
    if len(begun) == 1:
        alarm = begun[0].alarm
        return f"{alarm.campaign} is {alarm.status}: {alarm.why}"
    names = ", ".join(f"{change.alarm.campaign} {change.alarm.status}" for change in begun[:NAMED])
    more = f" and {len(begun) - NAMED} more" if len(begun) > NAMED else ""
    return f"{len(begun)} campaigns need attention: {names}{more}"
