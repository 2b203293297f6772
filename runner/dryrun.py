"""The rehearsal: every row goes the whole way up to the wire.

It claims nothing, contacts nobody unless it is asked to probe, and writes nothing but messages it is asked to save.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.campaign.address import Address, mask, mask_text
from runner.campaign.csvdata import Row
from runner.campaign.files import METADATA_FILE, Campaign, open_campaign
from runner.campaign.metadata import misspelt
from runner.campaign.suppression import Suppressed, lists
from runner.campaign.survey import Survey, survey
from runner.channel.port import Message
from runner.errors import CONFIG, OK, SOME_FAILED, Refused
from runner.message.look import eml, look
from runner.message.sms import Text
from runner.settings import Settings, Smtp, suppression_list


class _Seen:
    """What is kept of the messages: how large they are, and the first few whole."""

    def __init__(self, shown: int) -> None:
        self.first: list[tuple[Address, Message]] = []
        self.rows = 0
        self.largest_row = 0
        self.segments = 0  # of text messages
        self._shown = shown
        self._sizes: Counter[int] = Counter()
        self._largest = 0

    def __call__(self, row: Row, to: Address, message: Message) -> None:
        size = message.size
        self._sizes[size] += 1
        self.rows += 1
        if size > self._largest:
            self._largest, self.largest_row = size, row.number
        if isinstance(message, Text):
            self.segments += message.segments
        if len(self.first) < self._shown:
            self.first.append((to, message))

    def sizes(self) -> dict[str, int | None]:
        """In bytes; None when there was no message."""
        left = self.rows // 2
        median = None
        for size, times in sorted(self._sizes.items()):
            if left < times:
                median = size
                break
            left -= times
        return {
            "bytes_median": median,
            "bytes_max": self._largest or None,
            "bytes_max_row": self.largest_row or None,
            "bytes_total": sum(size * times for size, times in self._sizes.items()),
        }


def rehearse(settings: Settings, *, tick: Callable[[int], None], now: datetime) -> tuple[list[str], dict[str, Any]]:
    """The closing lines for people and the summary. Raises Refused when a file is missing or unreadable (65), when
    the credentials for a probe are (78), or when the messages can't be saved where they should (78)."""
    began = time.monotonic()
    seen = _Seen(settings.show)
    campaign = open_campaign(settings.campaigns_dir, settings.slug)
    try:
        probe = _prepared(settings, campaign)
        suppressed = Suppressed.load(lists(settings.campaigns_dir / settings.slug, suppression_list(settings)))
        found = survey(
            campaign, tick=tick, now=now, on_message=seen, suppressed=suppressed.has if suppressed else None
        )
        told = probe() if probe else None
        if settings.save_to is not None:
            _save(settings.save_to, seen.first)
    finally:
        campaign.close()
    sizes = seen.sizes()
    trouble = _too_large(told, sizes)
    rc = SOME_FAILED if found.refused_total or trouble else OK
    samples = [{"to": mask(to.text), **look(message)} for to, message in seen.first]
    summary = {
        "v": 1,
        "summary": True,
        "mode": "dry-run",
        "channel": campaign.metadata.channel,
        "rc": rc,
        "audience": found.audience,
        "rows": found.rows,
        "rendered": seen.rows,
        "refused": found.refused,
        "refused_total": found.refused_total,
        "refused_kinds": dict(found.kinds),
        "duplicates": found.duplicates,
        "suppressed": found.suppressed,
        "digests": {part: campaign.digests.get(part) for part in ("template", "text", "data", "metadata")},
        **sizes,
        **({"segments_total": seen.segments} if seen.segments else {}),
        "sample": samples[0] if samples else None,
        "samples": samples,
        "probe": told,
        "duration_s": round(time.monotonic() - began, 3),
    }
    lines = _lines(found, sizes, told, trouble)
    if seen.segments:
        lines.append(f"{seen.segments:,} segments in all")
    for key, meant in misspelt(campaign.metadata.raw):
        lines.append(f"{METADATA_FILE} says {mask_text(key)[:40]!r}, which does nothing; perhaps {meant} is meant")
    return lines, summary


def _prepared(settings: Settings, campaign: Campaign) -> Callable[[], dict[str, Any]] | None:
    """The probe, with its credentials read, so that what is wrong with them is known before the long look."""
    if not settings.probe:
        return None
    from runner.channel import probe
    from runner.channel.choose import channel_for

    account = channel_for(campaign.metadata.channel).account(settings.credentials)
    if not isinstance(account, Smtp):
        raise Refused(CONFIG, "--probe asks a mail server; this campaign is of text messages. Leave --probe out")
    return lambda: asyncio.run(probe.probe(account))


def _too_large(told: dict[str, Any] | None, sizes: dict[str, int | None]) -> str:
    """Why a send would fail by what the mail server told; "" when nothing speaks against it."""
    if told is None:
        return ""
    limit, largest = told.get("size") or 0, sizes["bytes_max"] or 0
    if not told["trouble"] and 0 < limit < largest:
        row = sizes["bytes_max_row"]
        return f"the message of row {row} has {largest:,} bytes, the mail server takes {limit:,}"
    return str(told["trouble"] or "")


def _save(folder: Path, messages: list[tuple[Address, Message]]) -> None:
    """The first messages as they would be sent, for the owner's eyes only. Raises Refused (78)."""
    try:
        folder.mkdir(mode=0o700)
        for number, (_, message) in enumerate(messages, 1):
            name, data = eml(message)
            made = os.open(folder / f"{number}{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(data)
    except OSError as error:
        raise Refused(CONFIG, f"{folder} can't be made and written: {error.strerror}; name a new folder") from None


def _lines(found: Survey, sizes: dict[str, int | None], told: dict[str, Any] | None, trouble: str) -> list[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.most_common())
    lines = [
        f"{found.audience} recipients counted",
        f"{found.refused_total} rows refused" + (f" ({kinds})" if len(found.kinds) > 1 else ""),
    ]
    for refused in found.refused:
        where = f"row {refused['row']}: " if refused["row"] else ""
        lines.append(f"  {where}{refused['why']}")
    if found.refused_total > len(found.refused):
        lines.append(f"  and {found.refused_total - len(found.refused)} more")
    if found.duplicates:
        lines.append(f"{found.duplicates} duplicate rows, each address is mailed once")
    if found.suppressed:
        lines.append(f"{found.suppressed} suppressed rows: these people asked not to be written to, and won't be")
    if (median := sizes["bytes_median"]) and (largest := sizes["bytes_max"]):
        lines.append(
            f"{median:,} bytes a message (median), {largest:,} the largest (row {sizes['bytes_max_row']}), "
            f"{sizes['bytes_total'] or 0:,} in all"
        )
    if told is not None:
        from runner.channel.probe import say

        lines.append(say(told))
        if trouble and not told["trouble"]:
            lines.append(trouble)
    return lines
