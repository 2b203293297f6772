"""Durations as Go reads and writes them."""

import re
from datetime import timedelta

PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parsed(text: str) -> timedelta:
    """Of "1h", "90m", "1h30m"; zero for what isn't one."""
    parts = PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return timedelta(0)
    return timedelta(seconds=sum(float(number) * SECONDS[unit] for number, unit in parts))


def shown(span: timedelta) -> str:
    """As %v prints it, in whole seconds: "1h0m0s", "51m46s", "0s"."""
    seconds = round(span.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes}m{seconds % 60}s"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"
