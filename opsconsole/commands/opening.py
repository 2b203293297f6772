"""Opening the screens; apart from the commands, whose making would hold up the first paint."""

import os
import sys

from opsconsole.commands.common import USAGE, Session, guarded, stop
from opsconsole.config import Loaded


@guarded
def open_screens(session: Session) -> None:
    """Open the screens on the configured environment; leaves with the app's exit code."""
    need_terminal()
    sys.exit(run_screens(session.loaded(), session.read_only))


def need_terminal() -> None:
    """Leaves with 2 where screens can't work: without a terminal nothing ends them, a dumb one takes no keys."""
    look = "Use the commands: `opsconsole board`, `opsconsole --help`."
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        stop(f"The screens need a terminal for input and output. {look}", USAGE)
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        stop(f"The screens don't work with TERM={os.environ.get('TERM', '')!r}; set it, or: {look}", USAGE)


def run_screens(loaded: Loaded, read_only: bool) -> int:
    """Paint from the last known state at once; the backends are built after the first paint."""
    import gc
    import getpass

    gc.disable()  # until the first paint, when the app turns it on again: nothing made so far is garbage

    from opsconsole.wiring import build, local_zone, loudness, remembered
    from screens.app import run_app

    operator = loaded.settings.operator
    return run_app(
        remembered(loaded),
        lambda: build(loaded, read_only=read_only),
        environment=loaded.environment.label or loaded.name,
        danger=loaded.environment.danger,
        read_only=read_only or operator.role == "viewer",
        local_zone=operator.timezone or local_zone(),
        operator=operator.name or getpass.getuser(),
        data_dir=loaded.data_dir,
        views=loaded.settings.views,
        loud=loudness(loaded),
    )
