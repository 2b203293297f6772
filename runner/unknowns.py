"""Names, for people, of the rows whose fate isn't known."""

from collections.abc import Sequence

from runner.address import Address, check, mask
from runner.campaign import open_campaign
from runner.csvdata import CsvError, Problem
from runner.errors import Refused
from runner.journal import Replay
from runner.settings import Settings


def name_rows(settings: Settings, old: Replay, rows: Sequence[int]) -> list[str]:
    """One line a row: its number and the masked address, when the data file is still the one that was sent."""
    names = _addresses(settings, old, set(rows))
    return [f"row {row}  {names.get(row, 'recipient ' + old.keys.get(row, '-'))}" for row in rows] + [
        f"{len(rows)} recipients unknown: they may have been sent. Look for the Message-ID in the mail server's log"
    ]


def _addresses(settings: Settings, old: Replay, wanted: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    try:
        campaign = open_campaign(settings.campaigns_dir, settings.slug)
    except Refused:
        return found
    try:
        if old.identity is None or campaign.data_digest() != old.identity.data:
            return found
        reader = campaign.reader()
        for row in reader:
            if isinstance(row, Problem) or row.number not in wanted:
                continue
            address = check(row.values[reader.email_index])
            if isinstance(address, Address):
                found[row.number] = mask(address.text)
    except CsvError:
        return {}
    finally:
        campaign.close()
    return found
