"""Header values, judged and written: a value that would break out of its line is refused, never repaired.

A campaign's values repeat, so what has been judged once is remembered.
"""

import functools
import re
from email.header import Header
from email.utils import formataddr
from typing import NamedTuple

from runner.campaign.address import BadAddress, check

SUBJECT_MOST = 2000  # characters
_URL_MOST = 900
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAILBOX = re.compile(r'\s*(?:"?([^"<>]*?)"?\s*<([^<>\s]+)>|([^<>\s"]+))\s*')
_PLAIN = re.compile(r"[ -~]{0,67}").fullmatch
_URL = re.compile(r"https://[!-;=?-~]*").fullmatch
_NAME_MOST = 60  # a longer one is folded


class RowRefused(Exception):
    """This recipient can't be mailed; `kind` is template or header, `column` the field of the metadata."""

    def __init__(self, kind: str, why: str, column: str | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.column = column


class Mailbox(NamedTuple):
    name: str
    address: str
    domain: str  # in lower case

    def __str__(self) -> str:
        return formataddr((self.name, self.address))


@functools.lru_cache(1024)
def mailbox(field: str, value: str) -> Mailbox:
    """A display name and an address out of `Name <addr>` or `addr`; a value can't smuggle in a second one. Raises
    RowRefused."""
    _one_line(field, value)
    match = _MAILBOX.fullmatch(value)
    if match is None:
        raise RowRefused("header", f'{field} is not of the form "Name <address>"', field)
    found = check(match[2] or match[3])
    if isinstance(found, BadAddress):
        raise RowRefused("header", f"{field}: {found.why}", field)
    return Mailbox((match[1] or "").strip(), found.text, found.text.rpartition("@")[2].lower())


@functools.lru_cache(1024)
def mailbox_line(header: str, field: str, value: str) -> str:
    """The header line of a mailbox(), closed. Raises RowRefused, and UnicodeEncodeError for a lone surrogate."""
    box = mailbox(field, value)
    if len(box.name) <= _NAME_MOST and box.name.isascii() and "=?" not in box.name:
        return f"{header}: {box}\r\n"
    name = Header(box.name, "utf-8", header_name=header, maxlinelen=76).encode(linesep="\r\n")
    return f"{header}: {name}\r\n <{box.address}>\r\n"


@functools.lru_cache(1024)
def sender(value: str) -> tuple[Mailbox, str]:
    """Who a mail is from, and the header line of it. Raises as mailbox_line()."""
    return mailbox("from", value), mailbox_line("From", "from", value)


def subject(value: str) -> str:
    """The subject as it is shown. Raises RowRefused."""
    _one_line("subject", value)
    if len(value) > SUBJECT_MOST:
        raise RowRefused("header", f"subject is longer than {SUBJECT_MOST:,} characters", "subject")
    return value.strip()


def subject_line(value: str) -> str:
    """The header line, closed: as RFC 2047 asks, plain ASCII stays readable. Raises RowRefused, and
    UnicodeEncodeError for a lone surrogate."""
    if _PLAIN(value) and "=?" not in value:
        return f"Subject: {value.strip()}\r\n"
    text = Header(subject(value), "utf-8", header_name="Subject", maxlinelen=76).encode(linesep="\r\n")
    return f"Subject: {text}\r\n"


def unsubscribe(value: str) -> str:
    """The address that unsubscribes. Raises RowRefused."""
    if len(value) > _URL_MOST or not _URL(value):
        raise RowRefused("header", "list_unsubscribe is not a plain https:// address", "list_unsubscribe")
    return value


def _one_line(field: str, value: str) -> None:
    if _CONTROL.search(value):
        raise RowRefused("header", f"{field} has a line break or control character in it", field)
