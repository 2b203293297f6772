"""The campaign's files, read once for all checks, with the runner's own readers so that both always agree."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

from opsconsole.campaign import DATA, FILES, METADATA, Details, MetadataError, parse_metadata
from opsconsole.digests import content_digest
from opsconsole.preflight.check import SHOWN, CannotJudge, Situation
from opsconsole.redact import mask_address
from runner.campaign.address import Address, BadAddress, mask
from runner.campaign.address import check as check_address
from runner.campaign.csvdata import CsvError, Problem, Reader, Row
from runner.campaign.phone import check as check_phone

_BOM = b"\xef\xbb\xbf"
Check = Callable[[str], Address | BadAddress]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row whose address can't be used, or was there before. `address` is masked."""

    line: int
    address: str
    why: str


@dataclass(slots=True)
class Audience:
    """What the data file holds. Lists are the first few, counts are whole. `broken` ended the reading early."""

    columns: tuple[str, ...] = ()
    rows: int = 0
    bom: bool = False
    crlf: bool = False
    broken: Problem | None = None
    uneven: list[Problem] = field(default_factory=list)
    uneven_count: int = 0
    bad: list[Fault] = field(default_factory=list)
    bad_count: int = 0
    repeated: list[Fault] = field(default_factory=list)
    repeated_count: int = 0


def metadata(situation: Situation) -> Details:
    """The details in the campaign's own metadata file: what the runner will go by. Raises CannotJudge."""
    try:
        return parse_metadata(situation.content(METADATA))
    except MetadataError as error:
        raise CannotJudge(f"{METADATA} can't be read.", str(error)) from error


def details(situation: Situation) -> Details:
    """What the campaign's own metadata file says, as the runner goes by it; else what is known otherwise."""
    try:
        return situation.once(metadata)
    except CannotJudge:
        return situation.details


def is_sms(situation: Situation) -> bool:
    return situation.once(details).channel == "sms"


def audience(situation: Situation) -> Audience:
    """One pass over the data file in bounded memory: 8 bytes and a set entry a recipient. Raises CannotJudge."""
    data = situation.content(DATA)
    found = Audience(bom=data.startswith(_BOM), crlf=b"\r\n" in data[:65536])
    column = situation.once(details).recipient_column
    check, masked = (check_phone, mask) if is_sms(situation) else (check_address, mask_address)
    seen: set[int] = set()
    repeated: dict[int, list[tuple[int, str]]] = {}
    try:
        reader = Reader(BytesIO(data), column)
        found.columns = reader.columns
        for row in reader:
            found.rows += 1
            if isinstance(row, Problem):
                found.uneven_count += 1
                if len(found.uneven) < SHOWN:
                    found.uneven.append(row)
                continue
            raw = row.values[reader.email_index]
            address = check(raw)
            if isinstance(address, BadAddress):
                found.bad_count += 1
                if len(found.bad) < SHOWN:
                    found.bad.append(Fault(row.line, masked(raw.strip()), address.why))
            elif address.key in seen:
                found.repeated_count += 1
                if found.repeated_count <= SHOWN:
                    repeated.setdefault(address.key, []).append((row.line, masked(address.text)))
            else:
                seen.add(address.key)
    except CsvError as error:
        found.broken = error.problem
    first = dict(_first_lines(data, column, check, set(repeated)))
    found.repeated = sorted(
        (
            Fault(line, masked, f"is on line {first.get(key, 0)} already")
            for key, places in repeated.items()
            for line, masked in places
        ),
        key=lambda fault: fault.line,
    )
    return found


def whole_audience(situation: Situation) -> Audience:
    """The audience, when the file could be read to its end. Raises CannotJudge otherwise."""
    found = situation.once(audience)
    if found.broken:
        raise CannotJudge(
            f"{DATA} can't be read to its end.",
            f"Mend line {found.broken.line or 1} of {situation.path(DATA)} first.",
        )
    return found


def digest(situation: Situation) -> str:
    """The content digest as it is now. Raises CannotJudge when a file was not read."""
    if situation.facts is not None and situation.on_host is None:
        return content_digest(situation.facts.digests)
    digests = {}
    for name in FILES:
        fact = situation.fact(name)
        if fact is not None and fact.there:
            digests[name] = fact.sha256 or hashlib.sha256(situation.content(name)).hexdigest()
    return content_digest(digests)


def _first_lines(data: bytes, column: str, check: Check, wanted: set[int]) -> Iterator[tuple[int, int]]:
    """Where each of these recipients is first: a second look, only when somebody is there twice."""
    if not wanted:
        return
    reader = Reader(BytesIO(data), column)
    for row in reader:
        if isinstance(row, Row):
            address = check(row.values[reader.email_index])
            if not isinstance(address, BadAddress) and address.key in wanted:
                wanted.discard(address.key)
                yield address.key, row.line
                if not wanted:
                    return
