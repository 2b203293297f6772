"""One row becomes one text message: rendered from the text template, judged, its segments counted."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from runner.campaign.address import Address
from runner.campaign.metadata import Metadata
from runner.message import gsm
from runner.message.guard import RowTimeout, row_guard
from runner.message.mail import TEXT_FILE, RowRefused
from runner.message.template import Source, Template, TemplateError

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # all but the line feed


@dataclass(frozen=True, slots=True)
class Text:
    """One text message. `sender` is "" where the account's is to be used, `recipient` a number with its +."""

    sender: str
    recipient: str
    ident: str
    body: str
    encoded: gsm.Encoded

    @property
    def segments(self) -> int:
        return len(self.encoded.parts)

    @property
    def size(self) -> int:
        return self.encoded.size


class SmsComposer:
    """Everything that is the same for all recipients, compiled once. Raises TemplateError."""

    run_id = ""

    def __init__(self, slug: str, metadata: Metadata, text: str, columns: Sequence[str]) -> None:
        self._slug = slug
        self._sender = metadata.from_
        self._most = metadata.max_segments
        self._columns = tuple(columns)
        self._template = Template(source(text))

    def render(self, row: Sequence[str]) -> str:
        """The text for a row, as a phone shows it. Raises RowRefused."""
        try:
            with row_guard():
                text = self._template.render(dict(zip(self._columns, row, strict=True)))
        except TemplateError as error:
            raise RowRefused("template", str(error), error.finding.variable) from None
        except RowTimeout:
            raise RowRefused("template", "the template takes too long to render for this row") from None
        text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
        if not text:
            raise RowRefused("text", "the text is empty")
        if _CONTROL.search(text):
            raise RowRefused("text", "the text has a tab or control character in it")
        return text

    def compose(self, values: Sequence[str], to: Address, now: float) -> Text:
        """The message for one recipient; `now` is of no matter here. Raises RowRefused."""
        body = self.render(values)
        try:
            encoded = gsm.encode(body)
        except UnicodeEncodeError:
            raise RowRefused("text", "the text has a broken character (a lone surrogate)") from None
        if len(encoded.parts) > self._most:
            why = f"the text takes {len(encoded.parts)} segments, max_segments is {self._most}"
            if odd := gsm.outside(body)[:8]:
                why += f"; {' '.join(f'U+{ord(char):04X}' for char in odd)} more than double them"
            raise RowRefused("text", why)
        return Text(self._sender, to.text, ident(self._slug, to), body, encoded)


def source(text: str) -> Source:
    return Source(text, TEXT_FILE)


def ident(slug: str, to: Address) -> str:
    """The same for the same person in every attempt, so that a message sent again can be told."""
    return hashlib.sha256(f"{slug}|{to.hexkey}".encode()).hexdigest()[:32]


class TextIds:
    """The idents of a campaign's messages, without building them."""

    def __init__(self, slug: str) -> None:
        self._slug = slug

    def of(self, row: Sequence[str], to: Address) -> str:
        return ident(self._slug, to)
