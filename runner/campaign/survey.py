"""Every row looked at before anything is sent: counted, its address and headers judged, its templates rendered.

The dry run and the send share this pass, so what the dry run counted is what the send will mail. It needs 13
bytes of memory a row, and 8 of them afterwards.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.campaign.address import Address, BadAddress, check
from runner.campaign.csvdata import CsvError, Problem, Row
from runner.campaign.files import Campaign
from runner.errors import BAD_DATA, Refused
from runner.message import template
from runner.message.mail import Built, Composer, RowRefused, sources
from runner.record.journal import PENDING, SKIPPED

BLOCK = 200  # rows; also the unit in which the journal claims
SHOWN = 20  # refused rows told one by one
_BUCKETS = 64


@dataclass
class Survey:
    """`states` and `keys` are indexed by row from 1; duplicates are SKIPPED, rows not mailable keep key 0.

    `unreadable` is set when the table itself is at fault, `broken` when the templates are; a run must not
    start with either.
    """

    composer: Composer | None = None
    email_index: int = 0
    rows: int = 0
    audience: int = 0
    duplicates: int = 0
    refused_total: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    states: bytearray = field(default_factory=lambda: bytearray([SKIPPED]))
    keys: "array[int]" = field(default_factory=lambda: array("Q", [0]))
    blocks: list[bytes] = field(default_factory=list)
    unreadable: str | None = None
    broken: str | None = None

    def refuse(self, row: int | None, why: str, column: str | None = None) -> None:
        self.refused_total += 1
        if len(self.refused) < SHOWN:
            self.refused.append({"row": row, **({"column": column} if column else {}), "why": why})


def survey(
    campaign: Campaign,
    *,
    tick: Callable[[int], None],
    now: datetime,
    on_mail: Callable[[Address, Built], None] | None = None,
) -> Survey:
    """Look at every row. `tick(rows)` is called now and then and may raise to stop; `on_mail` gets each mail
    fully built (the dry run). Faults of the files are returned, not raised; a template that runs away too."""
    found = Survey()
    buckets = [array("I") for _ in range(_BUCKETS)]
    block = _BlockDigest()
    try:
        reader = campaign.reader()
        found.email_index = reader.email_index
        for row in reader:
            if isinstance(row, Problem):
                found.unreadable = found.unreadable or str(row)
                found.refuse(row.row, f"line {row.line}: {row.what}; {row.remedy}")
                found.states.append(PENDING)
                found.keys.append(0)
                continue
            if found.composer is None and not found.broken:
                found.composer = _compile(campaign, reader.columns, row, found)
            key = _judge(found, row, now, on_mail)
            found.states.append(PENDING)
            found.keys.append(key)
            if key:
                buckets[key >> 58].append(row.number)
            block.add(row)
            if block.count == BLOCK:
                found.blocks.append(block.take())
            if not row.number % 128:
                tick(row.number)
        if block.count:
            found.blocks.append(block.take())
        found.rows = reader.rows
        if not found.rows:
            found.unreadable = "there is a header but no recipient; export the recipients again"
            found.refuse(None, found.unreadable)
        campaign.digests["data"] = reader.digest()
    except CsvError as error:
        found.unreadable = str(error)
        found.refuse(None, str(error))
        found.rows = len(found.states) - 1
        campaign.digests["data"] = campaign.data_digest()
    _mark_duplicates(found, buckets)
    found.audience = sum(1 for key in found.keys if key) - found.duplicates
    return found


def skim(campaign: Campaign, on_row: Callable[[Row, Address], None]) -> Survey:
    """The rows and their addresses alone, nothing rendered: enough to tell who is who. Raises CsvError."""
    found = Survey()
    buckets = [array("I") for _ in range(_BUCKETS)]
    reader = campaign.reader()
    for row in reader:
        address = check(row.values[reader.email_index]) if isinstance(row, Row) else None
        key = 0
        if isinstance(row, Row) and isinstance(address, Address):
            key = address.key
            buckets[key >> 58].append(row.number)
            on_row(row, address)
        found.states.append(PENDING)
        found.keys.append(key)
    found.rows = reader.rows
    campaign.digests["data"] = reader.digest()
    _mark_duplicates(found, buckets)
    found.audience = sum(1 for key in found.keys if key) - found.duplicates
    return found


def blocks(campaign: Campaign, surveyed: Survey) -> Iterator[list[Row]]:
    """The rows again, in the survey's blocks. Raises Refused when they aren't the rows that were surveyed."""
    changed = Refused(BAD_DATA, "the data file was changed while it was being sent; stopped before the change")
    digest = _BlockDigest()
    rows: list[Row] = []
    expected = iter(surveyed.blocks)
    try:
        for row in campaign.reader():
            if isinstance(row, Problem):
                raise changed
            rows.append(row)
            digest.add(row)
            if digest.count == BLOCK:
                if digest.take() != next(expected, None):
                    raise changed
                yield rows
                rows = []
    except CsvError:
        raise changed from None
    if rows:
        if digest.take() != next(expected, None):
            raise changed
        yield rows
    if next(expected, None) is not None:
        raise changed


class _BlockDigest:
    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.count = 0

    def add(self, row: Row) -> None:
        self._hash.update(("\x1f".join(row.values) + "\x1e").encode())
        self.count += 1

    def take(self) -> bytes:
        digest = self._hash.digest()
        self.__init__()  # type: ignore[misc]
        return digest


def _compile(campaign: Campaign, columns: tuple[str, ...], row: Row, found: Survey) -> Composer | None:
    """Try the templates in a child on the first row, then compile them here."""
    meta = campaign.metadata
    given = [source for source in sources(meta, campaign.html, campaign.text) if source]
    bad = template.trial(given, dict(zip(columns, row.values, strict=True)))
    if bad is None:
        try:
            return Composer(campaign.slug, meta, campaign.html, campaign.text, columns)
        except template.TemplateError as error:
            bad = error.finding
    found.broken = str(bad)
    found.refuse(None, found.broken)
    return None


def _judge(found: Survey, row: Row, now: datetime, on_mail: Callable[[Address, Built], None] | None) -> int:
    """The recipient key when the row can be mailed, else 0 with the reason noted."""
    address = check(row.values[found.email_index])
    if isinstance(address, BadAddress):
        found.refuse(row.number, address.why, "email")
        return 0
    if found.composer is None:
        return 0
    try:
        rendered = found.composer.render(row.values)
        if on_mail is not None:
            on_mail(address, found.composer.build(rendered, address, now))
    except RowRefused as error:
        where = f"row {row.number} (line {row.line}): {error}"
        if error.kind == "template":
            found.broken = found.broken or where
        found.refuse(row.number, str(error), error.column)
        return 0
    return address.key


def _mark_duplicates(found: Survey, buckets: "list[array[int]]") -> None:
    for bucket in buckets:
        seen: set[int] = set()
        for row in bucket:
            key = found.keys[row]
            if key in seen:
                found.states[row] = SKIPPED
                found.duplicates += 1
            seen.add(key)
