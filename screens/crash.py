"""What is told when the console itself fails: enough to mend it, and no secret. Never local variables."""

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

from opsconsole.redact import mask_addresses, redact, visible


def write_report(error: BaseException, folder: Path) -> Path | None:
    """The traceback of `error`, redacted, no variables, in a file for this user alone; None if it can't be."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    text = visible(mask_addresses(redact("".join(lines))), keep_newlines=True)
    path = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return path


def say_crash(error: BaseException, report: Path | None) -> str:
    """What the operator reads: the kind of error and where, what it means, what to do."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    kept = f"What happened is in {report}" if report else "What happened could not be written down: no report"
    return (
        f"opsconsole stopped by an error of its own: {type(error).__name__}{where}.\n"
        "Nothing was sent or stopped by this; a run that was going goes on where it is.\n"
        f"{kept} (secrets taken out, readable by you alone).\n"
        "Start opsconsole again and look at the board; please report this.\n"
    )
