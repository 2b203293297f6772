"""The command palette: every action and screen by name, with its key, from the registry."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from screens.base import Command, ConsoleScreen
from screens.safe import safe, say

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp


class ConsoleCommands(Provider):
    """Offers nothing while a question is open."""

    async def discover(self) -> Hits:
        for name, about, command in self._entries():
            yield DiscoveryHit(_shown(name, about), command, text=name)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, command in self._entries():
            if (score := matcher.match(name)) > 0:
                places = matcher.fuzzy_search.match(query, name)[1]
                yield Hit(score, _shown(name, about, places), command, name)

    @property
    def _ops(self) -> "OpsConsoleApp":
        return cast("OpsConsoleApp", self.app)

    def _entries(self) -> Iterator[Command]:
        ops, screen = self._ops, self.screen
        if ops.asking or not isinstance(screen, ConsoleScreen):
            return
        later = []
        for action in screen.offered:
            slug = screen.slug if action.about_campaign else ""
            reason = screen.disabled_reason(action.id)
            about = f"not now: {reason}" if reason else action.tooltip
            name = f"{slug or 'console'}: {action.label}  [{action.key}]"
            entry = (name, say(about, 160), partial(screen.action_perform, action.id))
            if reason:
                later.append(entry)
            else:
                yield entry
        yield from screen.commands()
        yield "screen: hand-over", "What the next shift has to know, as Markdown and HTML", ops.show_handover
        yield "screen: holds", "Who holds what, and a hold on everything", ops.show_holds
        yield "screen: help  [?]", "The keys of this screen", ops.action_help
        yield "console: quit  [q]", "Leave; a run that is going goes on", partial(ops.run_action, "quit")
        yield from later


def _shown(name: str, about: str, places: Sequence[int] = ()) -> Text:
    """A name over what it does. Not as the palette's own help: that would be read as markup."""
    text = safe(name)
    for place in places:
        text.stylize("bold underline", place, place + 1)
    return text.append("\n").append_text(safe(about, 160, "dim"))
