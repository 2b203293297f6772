"""The mark a watcher leaves beside the audit store, by which the screens of the same machine miss it."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from opsconsole.schedule import say_span
from opsconsole.snapshot import write_whole

GONE_AFTER = timedelta(seconds=45)
"""A watcher that hasn't left its mark for so long is gone, or stands still."""


def leave_mark(mark: Path, now: datetime) -> None:
    """Raises OSError."""
    write_whole(mark, msgspec.json.encode({"at": now.isoformat(), "pid": os.getpid()}))


def missed(mark: Path, now: datetime) -> str:
    """That a watcher ran on this machine and gives no sign any more; "" when it does, or none was left running."""
    try:
        seen = datetime.fromisoformat(msgspec.json.decode(mark.read_bytes())["at"])
        silent = now - seen
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return ""
    if silent <= GONE_AFTER:
        return ""
    return f"`opsconsole watch` has given no sign of life for {say_span(silent)}: nobody is paged. Start it again"
