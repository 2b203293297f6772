"""The command palette: every action and screen by name, with its key, from the registry."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from opsconsole.actions import offered
from screens.base import ConsoleScreen
from screens.safe import safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from screens.app import OpsConsoleApp

Entry = tuple[str, str, "Callable[[], object]"]


class ConsoleCommands(Provider):
    """Offers nothing while a question is open."""

    async def discover(self) -> Hits:
        for name, about, command in self._entries():
            yield DiscoveryHit(safe(name), command, text=name, help=about)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, command in self._entries():
            if (score := matcher.match(name)) > 0:
                yield Hit(
                    score, _highlighted(name, matcher.fuzzy_search.match(query, name)[1]), command, name, about
                )

    @property
    def _ops(self) -> "OpsConsoleApp":
        return cast("OpsConsoleApp", self.app)

    def _entries(self) -> Iterator[Entry]:
        ops, screen = self._ops, self.screen
        if ops.asking or not isinstance(screen, ConsoleScreen):
            return
        for action in offered(screen.PLACE):
            slug = screen.slug if action.about_campaign else ""
            area = slug or "console"
            reason = ops.disabled_reason(action.id, slug)
            about = f"not now: {reason}" if reason else action.tooltip
            command = partial(ops.perform, action.id, slug)
            yield f"{area}: {action.label}  [{action.key}]", str(safe(about, 160)), command
        yield "screen: holds", "Who holds what, and a hold on everything", ops.show_holds
        yield "screen: help  [?]", "The keys of this screen", ops.action_help
        yield "console: quit  [q]", "Leave; a run that is going goes on", partial(ops.run_action, "quit")


def _highlighted(name: str, places: "tuple[int, ...] | list[int]") -> Text:
    text = safe(name)
    for place in places:
        text.stylize("bold underline", place, place + 1)
    return text
