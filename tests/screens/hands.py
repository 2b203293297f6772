"""The hands of an operator: keys with the pace of a person, and keys that no person pressed."""

from typing import Any

from textual import events
from textual.pilot import Pilot
from textual.widgets import Button

from opsconsole.deliberate import SETTLE
from screens.confirm import ConfirmScreen
from screens.evidence import EvidenceForm


async def type_text(pilot: Pilot[Any], text: str) -> None:
    """Type as a person does, slowly enough not to look like a paste."""
    for char in text:
        await pilot.press("space" if char == " " else char)
        await pilot.pause(0.015)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until a question takes keys, as its reader would."""
    await pilot.pause(SETTLE + 0.05)


async def past_the_evidence(pilot: Pilot[Any]) -> None:
    """Take the evidence that is chosen already, and wait for the question whether it is meant."""
    for form, go in ((EvidenceForm, "#go"), (ConfirmScreen, "")):
        while not isinstance(pilot.app.screen, form):
            await pilot.pause(0.02)
        if go:
            await pilot.pause()
            pilot.app.screen.query_one(go, Button).press()


async def key_at(pilot: Pilot[Any], key: str, at: float) -> None:
    """A key that arrived at `at`, in seconds of the clock that events carry."""
    event = events.Key(key, key if len(key) == 1 else "\r" if key == "enter" else None)
    event.time = at
    event.set_sender(pilot.app)
    pilot.app.post_message(event)
    await pilot.pause()
