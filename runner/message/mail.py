"""One row becomes one mail: rendered, its header values judged, its bytes ready for the wire."""

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, formataddr
from typing import NamedTuple

from runner.campaign.address import Address, BadAddress, check
from runner.campaign.metadata import Metadata
from runner.message import plaintext
from runner.message.guard import RowTimeout, row_guard
from runner.message.template import Source, Template, TemplateError

HTML_FILE = "blast_template.html"
TEXT_FILE = "blast_template.txt"
METADATA_NAME = "blast_metadata.json"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAILBOX = re.compile(r'\s*(?:"?([^"<>]*?)"?\s*<([^<>\s]+)>|([^<>\s"]+))\s*')
_NOT_URL = re.compile(r"[^\x21-\x7e]|[<>]")


class RowRefused(Exception):
    """This recipient can't be mailed; `kind` is template or header, `column` the field of the metadata."""

    def __init__(self, kind: str, why: str, column: str | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.column = column


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of one mail before they are encoded. `text` is None when it is to be taken from the HTML."""

    html: str
    text: str | None
    subject: str
    from_name: str
    from_addr: str
    reply_to: str
    unsubscribe: str


class Mail(NamedTuple):
    """One recipient's mail. `ident` is its Message-ID; `data` is what follows 354: CRLF, no line that begins with a
    dot but the closing one, `size` bytes."""

    sender: str
    recipient: str
    ident: str
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Built:
    """`wire` is what follows 354: dot-stuffed, CRLF, with the closing dot."""

    sender: str
    message_id: str
    subject: str
    text: str
    wire: bytes


class Composer:
    """Everything that is the same for all recipients, compiled once. Raises TemplateError."""

    def __init__(self, slug: str, metadata: Metadata, html: str, text: str | None, columns: Sequence[str]) -> None:
        self._slug = slug
        self.run_id = "rehearsal"  # until a run is claimed
        self._columns = tuple(columns)
        self._html, self._text, *headers = [
            Template(source) if source else None for source in sources(metadata, html, text)
        ]
        self._subject, self._from, self._reply_to, self._unsubscribe = headers

    def values(self, row: Sequence[str]) -> dict[str, str]:
        return dict(zip(self._columns, row, strict=True))

    def render(self, row: Sequence[str]) -> Rendered:
        """Render all templates for a row and judge the header values. Raises RowRefused."""
        values = self.values(row)

        def run(template: Template | None) -> str:
            return template.render(values) if template else ""

        try:
            with row_guard():
                html = run(self._html)
                text = run(self._text) if self._text else None
                subject, from_ = run(self._subject), run(self._from)
                reply_to, unsubscribe = run(self._reply_to), run(self._unsubscribe)
        except TemplateError as error:
            raise RowRefused("template", str(error), error.finding.variable) from None
        except RowTimeout:
            raise RowRefused("template", "the template takes too long to render for this row") from None
        for name, value in (("subject", subject), ("from", from_), ("reply_to", reply_to)):
            if _CONTROL.search(value):
                raise RowRefused("header", f"{name} has a line break or control character in it", name)
        from_name, from_addr = _mailbox("from", from_)
        if reply_to:
            reply_to = formataddr(_mailbox("reply_to", reply_to))
        if unsubscribe and (
            _NOT_URL.search(unsubscribe) or not unsubscribe.startswith("https://") or len(unsubscribe) > 900
        ):
            raise RowRefused("header", "list_unsubscribe is not a plain https:// address", "list_unsubscribe")
        if len(subject) > 2000:
            raise RowRefused("header", "subject is longer than 2,000 characters", "subject")
        return Rendered(html, text, subject.strip(), from_name, from_addr, reply_to, unsubscribe)

    def compose(self, values: Sequence[str], to: Address, now: float) -> Mail:
        """The mail of one row; `now` is in Unix seconds. Raises RowRefused."""
        built = self.build(self.render(values), to, datetime.fromtimestamp(now, UTC))
        return Mail(built.sender, to.text, built.message_id, built.wire, len(built.wire))

    def build(self, mail: Rendered, to: Address, now: datetime) -> Built:
        """Encode a rendered mail. `now` is an aware instant. Raises RowRefused."""
        ident = _ident(self._slug, to)
        message_id = _message_id(ident, mail.from_addr)
        text = mail.text if mail.text is not None else plaintext.from_html(mail.html)
        try:
            parts = (("plain", quoted_printable(text)), ("html", quoted_printable(mail.html)))
            head = [
                f"From: {formataddr((mail.from_name, mail.from_addr))}",
                f"To: {to.text}",
                f"Subject: {_unstructured('Subject', mail.subject)}",
                f"Date: {format_datetime(now.astimezone(UTC))}",
                f"Message-ID: {message_id}",
                f"X-Blast-Id: {self.run_id} {ident}",
                "MIME-Version: 1.0",
            ]
        except UnicodeEncodeError:
            raise RowRefused("template", "the text has a broken character (a lone surrogate)") from None
        if mail.reply_to:
            head.append(f"Reply-To: {mail.reply_to}")
        if mail.unsubscribe:
            head.append(f"List-Unsubscribe: <{mail.unsubscribe}>")
            head.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        boundary = f"=_{ident}"  # "=_" can't occur in quoted-printable text
        head += [f'Content-Type: multipart/alternative; boundary="{boundary}"', ""]
        body = "\r\n".join(head).encode("ascii")
        for kind, encoded in parts:
            body += (
                f"\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            ).encode() + encoded
        body += f"\r\n--{boundary}--\r\n".encode()
        return Built(mail.from_addr, message_id, mail.subject, text, body.replace(b"\r\n.", b"\r\n..") + b".\r\n")


class MessageIds:
    """The Message-IDs of a campaign's mails, without building the mails. Raises TemplateError."""

    def __init__(self, slug: str, metadata: Metadata, columns: Sequence[str]) -> None:
        self._slug = slug
        self._columns = tuple(columns)
        self._from = Template(Source(metadata.from_, f"{METADATA_NAME} from"))

    def of(self, row: Sequence[str], to: Address) -> str:
        """The Message-ID of the mail this row becomes; "" when it can become none."""
        try:
            with row_guard():
                sender = self._from.render(dict(zip(self._columns, row, strict=True)))
            return _message_id(_ident(self._slug, to), _mailbox("from", sender)[1])
        except (TemplateError, RowTimeout, RowRefused):
            return ""


def sources(metadata: Metadata, html: str, text: str | None) -> list[Source | None]:
    """All templates of a campaign, in the Composer's order; None where there is none."""
    headers = {
        "subject": metadata.subject,
        "from": metadata.from_,
        "reply_to": metadata.reply_to,
        "list_unsubscribe": metadata.list_unsubscribe,
    }
    return [
        Source(html, HTML_FILE, html=True),
        Source(text, TEXT_FILE) if text is not None else None,
        *(Source(value, f"{METADATA_NAME} {key}") if value else None for key, value in headers.items()),
    ]


def quoted_printable(text: str) -> bytes:
    """Text with any line ends as quoted-printable with CRLF; raises UnicodeEncodeError for a lone surrogate."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    return binascii.b2a_qp(plain, istext=True).replace(b"\n", b"\r\n")


def _ident(slug: str, to: Address) -> str:
    """The same for the same person in every attempt, so that a mail sent again can be told."""
    return hashlib.sha256(f"{slug}|{to.hexkey}".encode()).hexdigest()[:32]


def _message_id(ident: str, from_addr: str) -> str:
    return f"<{ident}@{from_addr.rpartition('@')[2].lower()}>"


def _mailbox(name: str, value: str) -> tuple[str, str]:
    """A display name and an address out of `Name <addr>` or `addr`; a value can't smuggle in a second one."""
    match = _MAILBOX.fullmatch(value)
    if match is None:
        raise RowRefused("header", f'{name} is not of the form "Name <address>"', name)
    found = check(match[2] or match[3])
    if isinstance(found, BadAddress):
        raise RowRefused("header", f"{name}: {found.why}", name)
    return (match[1] or "").strip(), found.text


def _unstructured(name: str, value: str) -> str:
    """A header value as RFC 2047 asks; plain ASCII stays readable."""
    if value.isascii() and "=?" not in value and len(value) + len(name) < 76:
        return value
    return Header(value, "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n")
