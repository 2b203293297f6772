"""What a campaign's content is made of, and the digests that name it."""

import hashlib
from collections.abc import Mapping

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT

PARTS = {TEMPLATE: "template", TEXT: "text", DATA: "data", METADATA: "metadata"}


def parts(*digests: Mapping[str, str]) -> dict[str, str]:
    """What a campaign's content is made of, by name, each with its word in a plan.

    Of a campaign of files the four are always named, so that one that came or went is seen; other carriers have
    parts of their own, such as `subject` and `lists`, under their own names.
    """
    names = sorted({name for each in digests for name in each})
    of_files = PARTS if not names or any(name in PARTS for name in names) else {}
    return {**of_files, **{name: name for name in names if name not in PARTS}}


def content_digest(digests: Mapping[str, str]) -> str:
    """One digest over the digests of a campaign's parts, by name. A missing text file counts as none."""
    lines = "".join(f"{name}:{digests.get(name, '')}\n" for name in sorted(parts(digests)))
    return hashlib.sha256(lines.encode()).hexdigest()


def short(digest: str) -> str:
    """A digest as people compare them: its first twelve digits."""
    return digest[:12] or "missing"
