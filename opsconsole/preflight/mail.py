"""The mail itself: its headers, its way to unsubscribe, its size, and the key to the mail server."""

import re
from email.utils import parseaddr
from typing import Any

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, Details
from opsconsole.hostfacts import FileFact, Kind
from opsconsole.preflight import reading
from opsconsole.preflight.check import Check, Finding, Situation, failed, many, passed, shown, warned
from opsconsole.preflight.content import gather_rows
from opsconsole.preflight.rendering import Rendering
from runner.campaign.address import BadAddress
from runner.campaign.address import check as check_address

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CLIPPED = 102 * 1024  # bytes: from here on Gmail hides the rest, the way to unsubscribe with it
_OTHERS_SEE = 0o077


def gather_credentials(situation: Situation) -> FileFact | None:
    return situation.host.credentials


def judge_credentials(fact: FileFact | None, situation: Situation) -> Finding:
    path, host = situation.settings.credentials, situation.host
    owner = situation.settings.credentials_owner
    if fact is None or fact.kind is Kind.MISSING:
        return failed(f"There is no credentials file {path} on {host.host}.", f"Put it there, mode 0600: {path}")
    if fact.kind is Kind.DENIED:
        return failed(
            f"{host.user or 'The login user'} can't see {path}, so nobody knows whether it is there.",
            f"Let {host.user or 'the login user'} reach its folder: chmod o+x on it; the file itself stays 0600.",
        )
    if fact.kind is not Kind.FILE:
        return failed(
            f"{path} is not a plain file but a {fact.kind.value}.", "Put the credentials file itself there."
        )
    line = f"{path}: mode {fact.mode:04o}, owner {fact.owner or 'unknown'}"
    if fact.mode & _OTHERS_SEE or not fact.mode & 0o400:
        return failed(
            f"{path} has mode {fact.mode:04o}, it must be 0600.",
            f"chmod 600 {path}, and change the password if others could read it.",
            [line],
        )
    if owner and fact.owner != owner:
        return failed(
            f"{path} belongs to {fact.owner or 'nobody known'}, it must belong to {owner}.",
            f"chown {owner} {path}",
            [line],
        )
    return passed("The credentials are there and private; their content was not read.", line)


def gather_details(situation: Situation) -> Details:
    return situation.once(reading.metadata)


def judge_subject(details: Details, situation: Situation) -> Finding:
    if details.channel == "sms":
        return passed(f"A text message has no subject; it comes from {details.sender or 'the account'}.")
    path = situation.path(METADATA)
    bad, remedies = [], []
    if not details.subject.strip():
        bad.append(f"{path}: subject is missing")
        remedies.append('"subject": "…"')
    for key, value in (("from", details.sender), ("reply_to", details.reply_to)):
        why = _address_trouble(value) if value else ("is missing" if key == "from" else "")
        if why:
            bad.append(f"{path}: {key} {why}")
            remedies.append(f'"{key}": "Name <name@example.com>"')
    if bad:
        return failed(
            f"{many(len(bad), 'header value')} of {METADATA} can't be used.",
            f"Write {', '.join(remedies)} in {path}.",
            bad,
        )
    return passed("Subject and sender are there.", f"subject: {details.subject}", f"from: {details.sender}")


def _address_trouble(value: str) -> str:
    if "{{" in value or "{%" in value:
        return ""  # a template: judged row by row by headers-safe
    address = parseaddr(value)[1]
    found = check_address(address)
    return f"is not an address: {found.why}" if isinstance(found, BadAddress) else ""


def gather_headers(situation: Situation) -> Details:
    return situation.once(reading.metadata)


def judge_headers(details: Details, situation: Situation) -> Finding:
    if details.channel == "sms":
        return passed("A text message has no headers.")
    fixed = {
        "name": details.name,
        "subject": details.subject,
        "from": details.sender,
        "reply_to": details.reply_to,
        "list_unsubscribe": details.list_unsubscribe,
    }
    bad = [key for key, value in fixed.items() if _CONTROL.search(value)]
    if bad:
        return failed(
            f"{', '.join(bad)} in {METADATA} {'has' if len(bad) == 1 else 'have'} a line break or control "
            "character: it could add headers of its own.",
            f"Write it on one line in {situation.path(METADATA)}.",
            [f"{situation.path(METADATA)}: {key}" for key in bad],
        )
    found = gather_rows(situation)
    count = found.counts.get("header", 0)
    if count:
        faults = [fault for fault in found.faults if fault.kind == "header"]
        return failed(
            f"{many(count, 'row')} of {found.rows:,} would make a header that is not safe.",
            f"Correct these rows in {situation.path(DATA)}, or leave the column out of "
            f"{faults[0].column or 'the header'}.",
            shown((f"{situation.path(DATA)}, line {fault.line}: {fault.why}" for fault in faults), count),
        )
    return passed("No header value holds a line break or control character.")


def judge_unsubscribe(details: Details, situation: Situation) -> Finding:
    if details.channel == "sms":
        return _judge_stop(situation)
    address = details.list_unsubscribe.strip()
    path = situation.path(METADATA)
    if not address:
        return warned(
            "There is no list_unsubscribe: large mail providers ask for a one-click way out.",
            f'Add "list_unsubscribe": "https://…" to {path}.',
        )
    if not address.startswith("https://"):
        return failed(
            "list_unsubscribe is not an https address.",
            f'Write "list_unsubscribe": "https://…" in {path}.',
            [f"{path}: {address[:80]}"],
        )
    return passed("One click unsubscribes.", address[:120])


def _judge_stop(situation: Situation) -> Finding:
    if b"stop" in situation.content(TEXT).lower():
        return passed("The text says how to stop.")
    return warned(
        "The text doesn't say how to stop: many countries and carriers ask for it.",
        f"Add something like: Reply STOP to end. to {situation.path(TEXT)}.",
    )


def judge_size(found: Rendering, situation: Situation) -> Finding:
    if reading.is_sms(situation):
        line = f"longest: {many(found.largest, 'segment')}, from {situation.path(DATA)}, line {found.largest_line}"
        return passed(f"{many(found.total, 'segment')} for {many(found.rows, 'text message')}.", line)
    line = f"largest: {found.largest:,} bytes, from {situation.path(DATA)}, line {found.largest_line}"
    if found.largest > _CLIPPED:
        return warned(
            f"The largest mail is {found.largest / 1024:,.0f} KB; from 102 KB on Gmail cuts it and hides the end.",
            f"Make {situation.path(TEMPLATE)} smaller: leave out comments, inline styles and embedded pictures.",
            [line],
        )
    return passed(f"The largest mail is {max(found.largest / 1024, 1):,.0f} KB.", line)


CHECKS: tuple[Check[Any], ...] = (
    Check("credentials", "The credentials are there and private", "mail", gather_credentials, judge_credentials),
    Check("subject-and-sender", "Subject and sender are there", "mail", gather_details, judge_subject),
    Check("headers-safe", "Header values are safe", "mail", gather_headers, judge_headers),
    Check("unsubscribe", "There is a way to unsubscribe", "mail", gather_details, judge_unsubscribe),
    Check("size", "The mail is not too large", "mail", gather_rows, judge_size),
)
