"""An operator before the screens: looks at what is on them, and presses keys with the pace of a person."""

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from backends.embedded.world import World
from opsconsole import wiring
from opsconsole.config import load
from opsconsole.deliberate import REPEAT
from opsconsole.verdict import Status
from screens.app import OpsConsoleApp
from screens.confirm import ConfirmScreen
from screens.forms import ReasonForm
from tests.screens.hands import settle, type_text
from tests.screens.stage import screen_text


class Operator:
    """`app` is the real one, on the real console; `screen` all that it shows, as text."""

    def __init__(self, app: OpsConsoleApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> str:
        return screen_text(self.pilot)

    async def until(self, true: Callable[[], object], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"it never came about; the screen shows\n{self.screen}"
            await self.pilot.pause(0.05)

    async def sees(self, *texts: str, seconds: float = 60.0) -> None:
        """Waits until all of `texts` are on the screen at once."""
        await self.until(lambda: all(text in self.screen for text in texts), seconds)

    async def sees_like(self, expression: str, seconds: float = 60.0) -> None:
        """Waits until the screen's words, whatever line they stand on, match `expression` in any case."""

        def there() -> object:
            words = " ".join(re.sub(r"[│┃║▌▐█]", " ", self.screen).split())
            return re.search(expression, words, re.IGNORECASE)

        await self.until(there, seconds)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def types(self, text: str) -> None:
        await type_text(self.pilot, text)

    async def finds(self, slug: str) -> None:
        """Filters the board down to `slug`, which is then the one that keys act on."""
        await self.press("slash")
        await self.types(slug)
        await self.press("enter")
        await self.until(lambda: getattr(self.app.screen, "slug", "") == slug)

    async def is_told(self, slug: str, *statuses: Status) -> None:
        """Waits until the board in memory says one of `statuses`."""

        def told() -> bool:
            verdict = self.app.get(slug)
            return verdict is not None and verdict.status in statuses

        await self.until(told)

    async def confirms(self, phrase: str, reason: str = "") -> None:
        """Both steps of the question that is coming up: reads, goes on, types, and presses the last button."""
        await self.until(lambda: isinstance(self.app.screen, ConfirmScreen))
        await settle(self.pilot)
        await self.press("tab", "enter")
        await settle(self.pilot)
        await self.types(phrase)
        await self._presses("enter")
        await self.types(reason)
        await self._presses("enter", "tab", "enter")

    async def reasons(self, why: str) -> None:
        """Answers the form that asks for a reason alone."""
        await self.until(lambda: isinstance(self.app.screen, ReasonForm))
        await settle(self.pilot)
        await self.types(why)
        await self._presses("enter", "enter")

    async def _presses(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.pause(2 * REPEAT)  # a held enter would come faster
            await self.press(key)


def heard(app: OpsConsoleApp) -> set[str]:
    """The sources that have answered, or have let it be known that they can't."""
    return {s.name for s in app.board.sources if s.fresh or s.trouble}


@asynccontextmanager
async def before_the_screens(
    world: World, size: tuple[int, int] = (160, 50), sources: int = 3
) -> AsyncIterator[Operator]:
    """The program's screens on `world`, opened as the program opens them, once all of `sources` have answered."""
    loaded = load(world.config_path)
    app = OpsConsoleApp(
        wiring.remembered(loaded),
        lambda: wiring.build(loaded),
        environment=loaded.environment.label,
        danger=loaded.environment.danger,
        read_only=False,
        local_zone="Europe/Paris",
        operator="mara",
        data_dir=loaded.data_dir,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        operator = Operator(app, pilot)
        await operator.until(lambda: app.console_ready and len(heard(app)) >= sources)
        yield operator
