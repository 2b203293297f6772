"""Starts the renderer, listens to it, and cuts it off when it goes silent or on for too long."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT
from opsconsole.limited import start_limited
from opsconsole.preflight.check import CannotJudge, Situation
from opsconsole.preflight.reading import details, is_sms

SILENT_SECONDS = 20.0  # without a sign of life
WHOLE_SECONDS = 30.0  # for any campaign,
ROW_SECONDS = 0.002  # and this for each line of its data


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that can't become a message: `kind` is template, header or text."""

    row: int
    line: int
    kind: str
    why: str
    column: str | None


@dataclass(slots=True)
class Rendering:
    """What came of rendering every row. None: it didn't get that far. `cut_off` says why it didn't end. `largest`
    and `total` are in bytes, of text messages in segments.

    Findings are mappings with file, line, what, variable and suggestion.
    """

    broken: list[Mapping[str, Any]] | None = None
    unknown: list[Mapping[str, Any]] | None = None
    columns: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    at: int = 0
    largest: int = 0
    largest_line: int = 0
    total: int = 0
    done: bool = False
    cut_off: str = ""

    def take(self, event: Mapping[str, Any]) -> None:
        match event["say"]:
            case "compiled":
                self.broken = event["findings"]
            case "variables":
                self.unknown, self.columns = event["findings"], tuple(event["columns"])
            case "refused":
                self.faults.append(Fault(event["row"], event["line"], event["kind"], event["why"], event["column"]))
            case "at":
                self.at = event["row"]
            case "slow":
                self.at = event["rows"]
                self.cut_off = "several rows took longer than 2 s each"
            case "done":
                self.done, self.rows = True, event["rows"]
                self.counts = event.get("refused", {})
                self.largest, self.largest_line = event.get("largest", 0), event.get("largest_line", 0)
                self.total = event.get("total", 0)


def rendering(situation: Situation) -> Rendering:
    """Every row of the campaign rendered, in a process of its own. Raises CannotJudge when files are missing."""
    seen = situation.seen
    texts = is_sms(situation)
    html = "" if texts else _text(situation, TEMPLATE)
    text = _text(situation, TEXT) if texts or TEXT in seen.files else None
    raw = seen.files.get(METADATA)
    order = {
        "slug": situation.slug,
        "html": html,
        "text": text,
        "metadata": raw.decode("utf-8", "surrogateescape") if raw is not None else None,
        "column": situation.once(details).recipient_column,
    }
    return run(order, situation.content(DATA))


def run(order: Mapping[str, Any], data: bytes) -> Rendering:
    """Give the renderer its work and listen until it is done or cut off."""
    found = Rendering()
    begun = time.monotonic()
    limit = WHOLE_SECONDS + ROW_SECONDS * data.count(b"\n")
    process = start_limited("opsconsole.preflight.renderer")
    try:
        threading.Thread(target=_feed, args=(process, order, data), daemon=True).start()
        greeted = False
        for event in _events(process, begun + limit):
            greeted = True
            found.take(event)
        if not found.done and not found.cut_off:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            found.cut_off = _why(process.returncode, limit)
        if not greeted and process.returncode not in (None, 0, -signal.SIGXCPU):
            raise CannotJudge(
                f"The templates could not be tried: the process for it ended at once ({process.returncode}).",
                "Repeat the pre-flight; if it happens again, reinstall opsconsole.",
            )
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    return found


def _events(process: subprocess.Popen[bytes], end: float) -> Iterator[Mapping[str, Any]]:
    """The renderer's lines, until it ends, is silent for too long, or `end` (monotonic seconds) comes."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(min(left, SILENT_SECONDS)):
                return
            chunk = os.read(pipe, 65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def _feed(process: subprocess.Popen[bytes], order: Mapping[str, Any], data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it was cut off, or doesn't read on
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.write(data)
    with contextlib.suppress(OSError, ValueError):
        process.stdin.close()


def _why(code: int | None, limit: float) -> str:
    if code is None:
        return f"it gave no sign of life for {SILENT_SECONDS:.0f} s, or took longer than {limit:.0f} s"
    if code == -signal.SIGXCPU:
        return "one step used more than 6 s of processor time"
    return "it needed too much memory or was ended from outside"


def _text(situation: Situation, name: str) -> str:
    raw = situation.content(name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CannotJudge(
            f"{name} is not UTF-8: byte 0x{raw[error.start]:02x} on line {line}.",
            f"Save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {name}",
        ) from error
