"""Who a campaign goes to: one reading for the count, the rehearsal, the start and the rest of a queueing.

Everybody's address is judged as the workers judge it, one person in two spellings counts once, and whoever SES
keeps on its suppression list is left out. The order is that of the keys, so that a journal can name a place in it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any

from backends.serverless.aws import Meter
from backends.serverless.pipe import Pipe
from backends.serverless.troubles import CantDo, Denied
from backends.serverless.values import instant, plain, text, typed
from runner.campaign.address import BadAddress, check

PAGE = 2000  # contacts in one answer: small enough to come in time, and to stop after
SUPPRESSED_PAGE = 1000
MOST_SUPPRESSED = 2_000_000  # addresses of SES's list that are read


@dataclass(slots=True)
class Audience:
    """`emails` are the keys of those who get a reference, in order. `contacts` fit the definition, in all.

    `refused` counts contacts whose address can't be mailed, by why. `whole` is False where reading stopped early.
    `unread` says why the suppression list wasn't looked at; "" when it was.
    """

    emails: list[str] = field(default_factory=list)
    contacts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    suppressed: int = 0
    pages: int = 0
    whole: bool = True
    unread: str = ""
    meter: Meter = field(default_factory=Meter)

    def after(self, cursor: str) -> list[str]:
        """Those whose references aren't in the queue yet, by the journal's `cursor`; "" is the beginning."""
        return [email for email in self.emails if email > cursor] if cursor else list(self.emails)


def read(
    pipe: Pipe,
    item: Mapping[str, Any],
    *,
    most_pages: int | None = None,
    on_page: Callable[[Audience, list[dict[str, Any]]], None] = lambda audience, contacts: None,
    stop: Event | None = None,
    until: datetime | None = None,
) -> Audience:
    """Read the contacts of a campaign, page after page. `on_page` gets each page's contacts, whole.

    Those who came after `until` are left out: a run that began then wasn't meant for them.
    """
    found = Audience()
    kept: list[str] = []
    for contacts, last in pages(pipe, item, found.meter, most_pages):
        found.pages += 1
        for contact in contacts:
            came = instant(contact, "created_at")
            if until is not None and came is not None and came > until:
                continue
            found.contacts += 1
            address = check(text(contact, "email"))
            if isinstance(address, BadAddress):
                found.refused[address.why] += 1
            else:
                kept.append(text(contact, "email"))
        on_page(found, contacts)
        if not last and stop is not None and stop.is_set():
            found.whole = False
            break
        found.whole = last
    off = suppressed(pipe, found)
    seen: set[int] = set()
    for email in sorted(kept):
        address = check(email)
        assert not isinstance(address, BadAddress)
        if address.key in seen:
            found.duplicates += 1
        elif address.text.lower() in off:
            found.suppressed += 1
        else:
            found.emails.append(email)
        seen.add(address.key)
    return found


def pages(
    pipe: Pipe, item: Mapping[str, Any], meter: Meter, most: int | None = None
) -> Iterator[tuple[list[dict[str, Any]], bool]]:
    """The contacts that fit, a page at a time, and whether that page is the last one there is."""
    request: dict[str, Any] = {"TableName": pipe.settings.contacts_table, "Limit": PAGE}
    if attribute := item.get("audience_attribute"):
        request |= {
            "FilterExpression": "#a = :v",
            "ExpressionAttributeNames": {"#a": str(attribute)},
            "ExpressionAttributeValues": typed({":v": item.get("audience_value", "")}),
        }
    for page in pipe.pages("scan", request, most=most, meter=meter):
        yield [plain(contact) for contact in page.get("Items", ())], not page.get("LastEvaluatedKey")


def suppressed(pipe: Pipe, found: Audience) -> frozenset[str]:
    """Whom SES doesn't mail, in lower case; where the list can't be read, `found.unread` says so and nobody is."""
    if pipe.settings.channel != "ses":
        return frozenset()
    addresses: set[str] = set()
    token: dict[str, Any] = {}
    try:
        while len(addresses) < MOST_SUPPRESSED:
            answer = pipe.aws.ask(
                "sesv2", "list_suppressed_destinations", meter=found.meter, PageSize=SUPPRESSED_PAGE, **token
            )
            for entry in answer.get("SuppressedDestinationSummaries", ()):
                addresses.add(str(entry.get("EmailAddress", "")).lower())
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
    except (Denied, CantDo) as error:
        found.unread = error.what
    return frozenset(addresses)
