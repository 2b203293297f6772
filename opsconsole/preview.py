"""One mail of a campaign as a recipient would get it, rendered in a limited process of its own."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.campaign import (
    DATA,
    METADATA,
    TEMPLATE,
    TEXT,
    Details,
    MetadataError,
    parse_metadata,
    required_files,
)
from opsconsole.limited import start_limited
from opsconsole.ports import CampaignFacts, Trouble

SECONDS = 20.0  # for one mail, the walk to its row included


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The mail for row `number` (from 1) of the data. `trouble` says why there is none; the row may still be there.

    `values` is the row by column, `headers` are subject, from, reply-to and unsubscribe. Addresses are not masked.
    """

    number: int
    values: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    html: str = ""
    trouble: str = ""


def preview(facts: CampaignFacts, slug: str, number: int) -> Preview:
    """The mail for row `number`, or for the last one when there are fewer. Raises Trouble when a file is gone."""
    details = _details(facts)
    for name in required_files(details.channel):
        if name not in facts.files:
            why = facts.unread.get(name, "it is not there")
            raise Trouble(f"{name} was not read: {why}", "There is nothing to show.", "Mend the file first.")
    order = {
        "slug": slug,
        "number": max(number, 1),
        "html": _text(facts, TEMPLATE) if TEMPLATE in facts.files else "",
        "text": _text(facts, TEXT) if TEXT in facts.files else None,
        "metadata": facts.files[METADATA].decode("utf-8", "surrogateescape"),
        "column": details.recipient_column,
    }
    answer = _ask(json.dumps(order).encode() + b"\n" + facts.files[DATA])
    if answer is None:
        why = "The template could not be rendered: it needs too much time or memory."
        return Preview(number=number, trouble=why)
    columns, values = answer.get("columns", ()), answer.get("values", ())
    return Preview(
        number=answer.get("number", number),
        values=dict(zip(columns, values, strict=False)),
        headers={name: value for name, value in answer.get("headers", {}).items() if value},
        text=answer.get("text", ""),
        html=answer.get("html", ""),
        trouble=answer.get("trouble", ""),
    )


def _ask(work: bytes) -> dict[str, Any] | None:
    """What the previewer said; None when it was cut off."""
    process = start_limited("opsconsole.previewer")
    try:
        out, _ = process.communicate(work, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        process.wait()
    for line in out.splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["say"] == "preview":
            return event
    return None


def _text(facts: CampaignFacts, name: str) -> str:
    try:
        return facts.files[name].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Trouble(f"{name} is not UTF-8 (byte {error.start}).", "", "Save it as UTF-8.") from error


def _details(facts: CampaignFacts) -> Details:
    try:
        return parse_metadata(facts.files.get(METADATA, b""))
    except MetadataError:
        return Details()
