"""Says that nothing is heard of a run any more: following one waits through a lost line, otherwise in silence."""

import threading
import time
from types import TracebackType

import click

LONG = 15.0  # seconds: a runner of ours speaks every second


class Silence:
    """Around the following; `heard()` at each sign of life. Speaks on stderr, once a silence."""

    def __init__(self, slug: str, after: float = LONG) -> None:
        self._slug, self._after = slug, after
        self._heard, self._told = time.monotonic(), False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="silence", daemon=True)

    def heard(self) -> None:
        self._heard = time.monotonic()
        if self._told:
            self._told = False
            click.echo("The run is heard of again.", err=True)

    def __enter__(self) -> "Silence":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(self._after / 10):
            if not self._told and time.monotonic() - self._heard >= self._after:
                self._told = True
                click.echo(
                    f"Nothing was heard of the run for {self._after:.0f} s: its system may be out of reach, or it "
                    "stands still. A run that goes, goes on without this command, which keeps trying. "
                    f"`opsconsole show {self._slug}` tells where it stands.",
                    err=True,
                )
