"""The rehearsal: every row goes the whole way up to the wire. Contacts nobody, claims nothing, writes nothing."""

import time
from array import array
from collections.abc import Callable
from datetime import datetime
from typing import Any

from runner.campaign.address import Address, mask
from runner.campaign.files import open_campaign
from runner.campaign.survey import survey
from runner.errors import OK, SOME_FAILED
from runner.message.mail import Built
from runner.settings import Settings

_SAMPLE_CHARACTERS = 400


def rehearse(settings: Settings, *, tick: Callable[[int], None], now: datetime) -> tuple[list[str], dict[str, Any]]:
    """The closing lines for people and the summary. Raises Refused (65) when a file is missing or unreadable."""
    began = time.monotonic()
    sizes = array("I")
    sample: dict[str, str] = {}

    def on_mail(to: Address, mail: Built) -> None:
        sizes.append(len(mail.wire))
        if not sample:
            sample.update(subject=mail.subject, to=mask(to.text), text=mail.text[:_SAMPLE_CHARACTERS])

    campaign = open_campaign(settings.campaigns_dir, settings.slug)
    try:
        found = survey(campaign, tick=tick, now=now, on_mail=on_mail)
    finally:
        campaign.close()
    ordered = sorted(sizes)
    rc = SOME_FAILED if found.refused_total else OK
    summary = {
        "v": 1,
        "summary": True,
        "mode": "dry-run",
        "rc": rc,
        "audience": found.audience,
        "rows": found.rows,
        "refused": found.refused,
        "refused_total": found.refused_total,
        "duplicates": found.duplicates,
        "digests": {part: campaign.digests.get(part) for part in ("template", "text", "data", "metadata")},
        "bytes_median": ordered[len(ordered) // 2] if ordered else None,
        "bytes_max": ordered[-1] if ordered else None,
        "sample": sample or None,
        "duration_s": round(time.monotonic() - began, 3),
    }
    lines = [f"{found.audience} recipients counted", f"{found.refused_total} rows refused"]
    for refused in found.refused:
        where = f"row {refused['row']}: " if refused["row"] else ""
        lines.append(f"  {where}{refused['why']}")
    if found.refused_total > len(found.refused):
        lines.append(f"  and {found.refused_total - len(found.refused)} more")
    if found.duplicates:
        lines.append(f"{found.duplicates} duplicate rows, each address is mailed once")
    return lines, summary
