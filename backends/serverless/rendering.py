"""Has the mail of every contact made in a process of its own, and cuts it off when it goes silent."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from backends.serverless.content import ATTRIBUTES
from backends.serverless.values import text
from opsconsole.limited import start_limited
from opsconsole.ports import Trouble

SILENT_SECONDS = 20.0
GIVEN = ("campaign_id", "campaign_name", *ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Fault:
    """A contact that can't get this mail. `who` is masked."""

    who: str
    why: str
    column: str | None


@dataclass(slots=True)
class Rendering:
    """`broken` says why nobody can be mailed, or why it was cut off; "" when every contact was tried.

    `faults` are the first of each kind, `refused` counts all by kind. Sizes are bytes of whole mails.
    """

    broken: str = ""
    variables: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    refused: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    largest: int = 0
    total: int = 0
    sample: Mapping[str, Any] | None = None
    done: bool = False


class Renderer:
    """`with Renderer(item) as renderer: renderer.page(contacts) …; result = renderer.end()`."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.found = Rendering()
        self._process = start_limited("backends.serverless.renderer")
        self._rest = b""
        self._greeted = False
        self._give([{name: item[name] for name in GIVEN if name in item}])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def page(self, contacts: Iterable[Mapping[str, Any]]) -> None:
        """Have these contacts' mails made; back when they are. After something broken nothing more is tried."""
        if self.found.broken:
            return
        self._give([*contacts, None])
        self._listen("page")

    def end(self) -> Rendering:
        """What came of it all."""
        if not self.found.broken:
            stdin = self._process.stdin
            with contextlib.suppress(OSError):
                if stdin is not None:
                    stdin.close()
            self._listen("done")
        return self.found

    def _give(self, values: Iterable[Any]) -> None:
        lines = "".join(json.dumps(value, default=_said) + "\n" for value in values)
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it was cut off, as its answer will tell
            stdin.write(lines.encode("utf-8", "surrogatepass"))
            stdin.flush()

    def _listen(self, until: str) -> None:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while selector.select(SILENT_SECONDS):
                if not (chunk := os.read(pipe, 65536)):
                    break
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                said = [self._take(json.loads(line)) for line in lines]
                if until in said or self.found.broken:
                    return
        self._cut_off()

    def _take(self, event: Mapping[str, Any]) -> str:
        found, said = self.found, str(event["say"])
        self._greeted = True
        match said:
            case "compiled":
                found.variables = tuple(event["variables"])
            case "refused":
                found.faults.append(Fault(event["who"], event["why"], event["column"]))
            case "broken":
                found.broken = str(event["why"])
            case "at" | "page":
                found.rows = event["rows"]
            case "done":
                found.done, found.rows, found.refused = True, event["rows"], event["refused"]
                found.largest, found.total, found.sample = event["largest"], event["total"], event["sample"]
        return said

    def _cut_off(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if not self._greeted and code is not None and code != -signal.SIGXCPU:
            raise Trouble(
                f"The mails could not be tried: the process for it ended at once ({code})",
                "Nothing was sent",
                "Try again; if it happens again, reinstall opsconsole",
            )
        if code is None:
            why = f"it gave no sign of life for {SILENT_SECONDS:.0f} s"
        elif code == -signal.SIGXCPU:
            why = "one step used more than 6 s of processor time"
        else:
            why = "it needed too much memory or was ended from outside"
        self.found.broken = f"rendering was cut off after {self.found.rows:,} contacts: {why}"


def sample_of(item: Mapping[str, Any], contacts: Iterable[Mapping[str, Any]]) -> Rendering:
    """The mails of these contacts alone."""
    with Renderer(item) as renderer:
        renderer.page([contact for contact in contacts if text(contact, "email")])
        return renderer.end()


def _said(value: Any) -> str:
    """What JSON hasn't got, as the workers write it."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
