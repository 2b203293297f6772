"""Is this text one deliverable address, and who is it? Pure: findings are returned, nothing is printed."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

_STRICT = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN = re.compile("[\xa0\xad\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff]")
# Tried at the beginning of a word alone: else a long word without an @ would cost the square of its length.
_IN_TEXT = re.compile(r"(?<![^\s@<>()\[\]\",;:'=])([^\s@<>()\[\]\",;:'=]+)@([^\s@<>()\[\]\",;:'=]+)")


class Address(NamedTuple):
    """One recipient: `text` is ASCII and safe on an SMTP command line, `key` its 64-bit recipient key."""

    text: str
    key: int

    @property
    def hexkey(self) -> str:
        return self.key.to_bytes(8, "big").hex()  # half the time of a format


@dataclass(frozen=True, slots=True)
class BadAddress:
    """Why a text isn't an address. `why` never holds the text itself."""

    why: str


def check(raw: str) -> Address | BadAddress:
    """Judge one cell of the e-mail column. Plain spaces around it are ignored; everything else must fit."""
    if _is_strict(raw):  # nearly all are; made as Address(…) does, in a third of the time
        return tuple.__new__(Address, (raw, recipient_key(raw)))
    text = raw.strip(" \t")
    if not text:
        return BadAddress("the address is empty")
    if _CONTROL.search(text):
        return BadAddress("the address has a line break or control character in it")
    if "," in text or ";" in text:
        return BadAddress("the cell has a comma or semicolon: one row, one address")
    if not _is_strict(text):
        converted = _unusual(text)
        if isinstance(converted, BadAddress):
            return converted
        text = converted
    return Address(text, recipient_key(text))


def recipient_key(address: str) -> int:
    """64 bits of BLAKE2b over the address in lower case: the same person has the same key.

    RFC 5321 lets a server tell `Ann` and `ann` apart, but none does: two mails would reach one person.
    """
    return int.from_bytes(blake2b(address.lower().encode(), digest_size=8).digest(), "big")


def mask(address: str) -> str:
    """`jane@example.com` as `j•••@example.com`, `+442079460123` as `+44•••123`."""
    local, at, domain = address.rpartition("@")
    if not at and address.startswith("+"):
        return f"{address[:3]}•••{address[-3:]}"
    return f"{local[:1]}•••@{domain}" if at else "•••"


def mask_text(text: str) -> str:
    """Text from a server or an exception, with every address masked and every control character replaced."""
    if "@" not in text and text.isprintable():  # nearly every answer of a server, at a tenth of the time
        return text
    return _CONTROL.sub(" ", _IN_TEXT.sub(lambda m: f"{m[1][:1]}•••@{m[2]}", text))


def _is_strict(text: str) -> bool:
    return len(text) <= 254 and _STRICT.fullmatch(text) is not None and text.find("@") <= 64


def _unusual(text: str) -> str | BadAddress:
    """An address outside the strict form: an international domain becomes its ASCII form, the rest is refused."""
    if "<" in text:
        return BadAddress("the cell has more than the address: leave out the name and the < >")
    if unseen := _UNSEEN.search(text):
        return BadAddress(f"the address has a character in it that can't be seen (U+{ord(unseen[0]):04X})")
    if text.isascii():
        return BadAddress("this is not an e-mail address")
    try:  # optional, and slow to import: only for those who need it
        import email_validator
    except ImportError:  # pragma: no cover - depends on what is installed
        return BadAddress("the address is not ASCII, and email-validator is not installed to convert it")
    try:
        found = email_validator.validate_email(text, check_deliverability=False).ascii_email
    except email_validator.EmailNotValidError:
        return BadAddress("this is not an e-mail address")
    if found is None:
        return BadAddress("the part before the @ is not ASCII: it needs SMTPUTF8, which we don't send")
    return found if _is_strict(found) else BadAddress("this is not an e-mail address")
