"""Every row looked at before anything is sent: counted, its recipient and headers judged, its templates rendered.

The dry run and the send share this pass, so what the dry run counted is what the send will mail. It needs 13
bytes of memory a row, and 9 of them afterwards.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from runner.campaign.address import Address, BadAddress
from runner.campaign.csvdata import CsvError, Problem, Row, TableChanged
from runner.campaign.files import Campaign
from runner.channel.choose import Channel, Composer, channel_for
from runner.channel.port import Message
from runner.errors import BAD_DATA, Refused
from runner.message import template
from runner.message.mail import RowRefused
from runner.record.journal import PENDING, SKIPPED

BLOCK = 200  # rows; also the unit in which the journal claims
SHOWN = 20  # refused rows told one by one
_BUCKETS = 64


@dataclass
class Survey:
    """`states` and `keys` are indexed by row from 1. Duplicates and the rows of `suppressed_rows` are SKIPPED, rows
    that can't be mailed keep key 0. `kinds` counts the refused by kind: table, address, header, template, text.

    `unreadable` is set when the table itself is at fault, `broken` when the templates are; a run must not
    start with either. `marks` are the reader's, by which blocks() knows the table again.
    """

    composer: Composer | None = None
    email_index: int = 0
    rows: int = 0
    audience: int = 0
    duplicates: int = 0
    refused_total: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    states: bytearray = field(default_factory=lambda: bytearray([SKIPPED]))
    keys: "array[int]" = field(default_factory=lambda: array("Q", [0]))
    suppressed_rows: "array[int]" = field(default_factory=lambda: array("I"))
    marks: list[bytes] = field(default_factory=list)
    unreadable: str | None = None
    broken: str | None = None

    @property
    def suppressed(self) -> int:
        return len(self.suppressed_rows)

    def refuse(self, row: int | None, kind: str, why: str, column: str | None = None) -> None:
        self.refused_total += 1
        self.kinds[kind] += 1
        if len(self.refused) < SHOWN:
            where = {"row": row, **({"column": column} if column else {})}
            self.refused.append({**where, "kind": kind, "why": why})


def survey(
    campaign: Campaign,
    *,
    tick: Callable[[int], None],
    now: datetime,
    on_message: Callable[[Row, Address, Message], None] | None = None,
    suppressed: Callable[[Address], bool] | None = None,
    rendered: bool = False,
) -> Survey:
    """Look at every row. `tick(rows)` is called now and then and may raise to stop; `on_message` gets each message
    as it would be sent. Who is `suppressed` isn't rendered. With `rendered` a rehearsal of just these files has
    rendered every row, and only the first is tried again, in the child.

    Faults of the files are returned, not raised; a template that runs away too."""
    found = Survey()
    channel = channel_for(campaign.metadata.channel)
    keys, check, at_once = found.keys, channel.check, now.timestamp()
    try:
        reader = campaign.reader()
        found.marks = reader.marks
        found.email_index = column = reader.email_index
        compose = None
        for row in reader:
            if isinstance(row, Problem):
                found.unreadable = found.unreadable or str(row)
                found.refuse(row.row, "table", f"line {row.line}: {row.what}; {row.remedy}")
                keys.append(0)
                continue
            if compose is None and not found.broken:
                compose = _compile(campaign, channel, reader.columns, row, found)
            number = row.number
            if not number & 127:
                tick(number)
            to = check(row.values[column])
            if isinstance(to, BadAddress):
                found.refuse(number, "address", to.why, reader.columns[column])
                keys.append(0)
            elif suppressed is not None and suppressed(to):
                found.suppressed_rows.append(number)
                keys.append(to.key)
            elif compose is None:
                keys.append(0)
            else:
                try:
                    if not rendered:
                        message = compose(row.values, to, at_once)
                        if on_message is not None:
                            on_message(row, to, message)
                    keys.append(to.key)
                except RowRefused as error:
                    keys.append(0)
                    if error.kind == "template":
                        found.broken = found.broken or f"row {number} (line {row.line}): {error}"
                    found.refuse(number, error.kind, str(error), error.column)
        found.rows = reader.rows
        if not found.rows:
            found.unreadable = "there is a header but no recipient; export the recipients again"
            found.refuse(None, "table", found.unreadable)
        campaign.digests["data"] = reader.digest()
    except CsvError as error:
        found.unreadable = str(error)
        found.refuse(None, "table", str(error))
        found.rows = len(keys) - 1
        campaign.digests["data"] = campaign.data_digest()
    _count(found)
    return found


def skim(
    campaign: Campaign,
    on_row: Callable[[Row, Address], None],
    suppressed: Callable[[Address], bool] | None = None,
) -> Survey:
    """The rows and their addresses alone, nothing rendered: enough to tell who is who. Raises CsvError."""
    found = Survey()
    check = channel_for(campaign.metadata.channel).check
    reader = campaign.reader()
    for row in reader:
        address = check(row.values[reader.email_index]) if isinstance(row, Row) else None
        if isinstance(row, Row) and isinstance(address, Address):
            found.keys.append(address.key)
            if suppressed is not None and suppressed(address):
                found.suppressed_rows.append(row.number)
            on_row(row, address)
        else:
            found.keys.append(0)
    found.rows = reader.rows
    campaign.digests["data"] = reader.digest()
    _count(found)
    return found


def blocks(campaign: Campaign, surveyed: Survey) -> Iterator[list[Row]]:
    """The rows again, BLOCK at a time. Raises Refused before the first row of what isn't as it was surveyed."""
    try:
        rows = iter(campaign.reader(surveyed.marks))
        while block := [row for row in islice(rows, BLOCK) if isinstance(row, Row)]:
            yield block
    except (CsvError, TableChanged):
        raise Refused(
            BAD_DATA, "the data file was changed while it was being sent; stopped before the change"
        ) from None


_Compose = Callable[[list[str], Address, float], Message]


def _compile(
    campaign: Campaign, channel: Channel, columns: tuple[str, ...], row: Row, found: Survey
) -> _Compose | None:
    """Try the templates in a child on the first row, then compile them here."""
    bad = template.trial(channel.sources(campaign), dict(zip(columns, row.values, strict=True)))
    if bad is None:
        try:
            found.composer = channel.composer(campaign, columns)
            return found.composer.compose
        except template.TemplateError as error:
            bad = error.finding
    found.broken = str(bad)
    found.refuse(None, "template", found.broken)
    return None


def _count(found: Survey) -> None:
    """Further rows of a person, and those nobody may write to, are SKIPPED; who is left is the audience."""
    keys = found.keys
    found.states = states = bytearray([SKIPPED]) + bytes([PENDING]) * (len(keys) - 1)
    for row in found.suppressed_rows:
        states[row] = SKIPPED
    buckets = [array("I") for _ in range(_BUCKETS)]  # so that only a part of the keys is in a set at a time
    for row, key in enumerate(keys):
        if key and states[row] != SKIPPED:
            buckets[key >> 58].append(row)
    for bucket in buckets:
        seen: set[int] = set()
        for row in bucket:
            if keys[row] in seen:
                states[row] = SKIPPED
                found.duplicates += 1
            seen.add(keys[row])
    found.audience = sum(map(len, buckets)) - found.duplicates
