"""A campaign's files, read once: what is checked is what is sent."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runner.campaign import metadata
from runner.campaign.csvdata import Reader
from runner.errors import BAD_DATA, Refused
from runner.message.mail import HTML_FILE, TEXT_FILE

DATA_FILE = "blast_data.csv"
METADATA_FILE = "blast_metadata.json"
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass
class Campaign:
    """`digests` are SHA-256 in hex of the bytes held here; "data" is added by the survey that reads the rows."""

    slug: str
    html: str
    text: str | None
    metadata: metadata.Metadata
    digests: dict[str, str | None]
    _data: BinaryIO

    def reader(self, expected: Sequence[bytes] | None = None) -> Reader:
        """The rows from the beginning, out of the one file opened at the start (a replaced file isn't seen);
        `expected` are the marks of an earlier reader, whose bytes they must be."""
        self._data.seek(0)
        return Reader(self._data, self.metadata.recipient_column, expected=expected)

    def data_digest(self) -> str:
        self._data.seek(0)
        digest = hashlib.sha256()
        while chunk := self._data.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()

    def close(self) -> None:
        self._data.close()


def check_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise Refused(
            BAD_DATA, f"{slug!r} is no campaign slug: small letters, digits, '.', '_' and '-', at most 64"
        )
    return slug


def open_campaign(folder: Path, slug: str) -> Campaign:
    """Read a campaign's small files and open its table. Raises Refused (65) naming the file and the fault."""
    check_slug(slug)
    if not os.path.isdir(folder / slug):  # Path.is_dir raises where we may not look
        raise Refused(
            BAD_DATA,
            f"there is no campaign {slug} in {folder}, or we may not look there. Another place is named with "
            "--campaigns-dir or MAIL_BLAST_CAMPAIGNS_DIR",
        )
    raw: dict[str, bytes | None] = {name: _read(folder / slug / name) for name in (HTML_FILE, TEXT_FILE)}
    described = _required(folder / slug / METADATA_FILE, _read(folder / slug / METADATA_FILE))
    try:
        parsed = metadata.parse(described)
    except metadata.MetadataError as error:
        told = str(error)
        raise Refused(BAD_DATA, told if told.startswith(METADATA_FILE) else f"{METADATA_FILE}: {told}") from None
    template = TEXT_FILE if parsed.channel == "sms" else HTML_FILE
    _required(folder / slug / template, raw[template])
    path = folder / slug / DATA_FILE
    try:
        data = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise Refused(BAD_DATA, f"{path} can't be read: {error.strerror}") from None
    return Campaign(
        slug,
        _text(HTML_FILE, raw[HTML_FILE] or b""),
        _text(TEXT_FILE, text) if (text := raw[TEXT_FILE]) is not None else None,
        parsed,
        {
            "template": _digest(raw[HTML_FILE]),
            "text": _digest(raw[TEXT_FILE]),
            "metadata": _digest(described),
        },
        data,
    )


def content_digest(campaign: Campaign) -> str:
    """One digest of all that a mail says; the window and the rate may change between two halves of a run."""
    meta = campaign.metadata
    parts = (campaign.html, campaign.text, meta.subject, meta.from_, meta.reply_to, meta.list_unsubscribe)
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


def stale_parts(
    plan: dict[str, object], digests: dict[str, str | None], audience: int | None, suppressed: int = 0
) -> Iterator[str]:
    """What of a plan is no longer true, each with both values; `audience` None when it wasn't counted.

    The suppressed may be missing from the audience since: somebody who unsubscribes doesn't undo a plan.
    """
    planned = plan.get("digests")
    for part in ("template", "text", "data", "metadata"):
        was = planned.get(part) if isinstance(planned, dict) else None
        if was != digests.get(part):
            yield f"{part} was {was} in the plan, is {digests.get(part)} now"
    was = plan.get("audience")
    if audience is not None and not (isinstance(was, int) and audience <= was <= audience + suppressed):
        yield f"audience was {was} in the plan, is {audience} now"


def _read(path: Path) -> bytes | None:
    """None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(BAD_DATA, f"{path} can't be read: {error.strerror}") from None


def _required(path: Path, data: bytes | None) -> bytes:
    if data is None:
        raise Refused(BAD_DATA, f"{path} can't be read: {os.strerror(errno.ENOENT)}")
    return data


def _digest(data: bytes | None) -> str | None:
    return hashlib.sha256(data).hexdigest() if data is not None else None


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(
            BAD_DATA, f"{name} line {line}: byte 0x{data[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from None
