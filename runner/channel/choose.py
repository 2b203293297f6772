"""Which channel a campaign takes: who its recipients are, how a row becomes a message, what carries it.

Nothing is read or opened before account() and wires(), so a dry run uses the same channel as a send.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from runner.campaign import address, phone
from runner.campaign.address import Address, BadAddress
from runner.campaign.files import Campaign
from runner.channel.port import Message, Wire
from runner.errors import CONFIG, Refused
from runner.message import mail, sms
from runner.message.template import Source
from runner.settings import Account, Sms, Smtp, read_credentials, read_sms

_PER_CONNECTION = 100  # messages; providers cut longer ones


class Composer(Protocol):
    run_id: str

    def compose(self, values: Sequence[str], to: Address, now: float) -> Message:
        """Raises RowRefused."""


class Idents(Protocol):
    def of(self, row: Sequence[str], to: Address) -> str:
        """What the journal and the other side know this row's message by; "" when it can become none."""


class Channel(Protocol):
    """One way to people. The same object may be asked again and again."""

    def check(self, cell: str) -> Address | BadAddress:
        """Judge one cell of the recipients' column."""

    def sources(self, campaign: Campaign) -> list[Source]:
        """The campaign's templates, to be tried in a child first."""

    def composer(self, campaign: Campaign, columns: Sequence[str]) -> Composer:
        """Raises TemplateError."""

    def idents(self, campaign: Campaign, columns: Sequence[str]) -> Idents:
        """Without building the messages. Raises TemplateError."""

    def account(self, credentials: Path) -> Account:
        """Raises Refused (78)."""

    def wires(self, account: Any, connections: int, pipelining: bool = True) -> list[Wire[Any]]:
        """As many connections as wanted, or as the other side allows; `pipelining` is for e-mail. Raises Refused
        (78) for a missing library."""


class Email:
    def check(self, cell: str) -> Address | BadAddress:
        return address.check(cell)

    def sources(self, campaign: Campaign) -> list[Source]:
        return [source for source in mail.sources(campaign.metadata, campaign.html, campaign.text) if source]

    def composer(self, campaign: Campaign, columns: Sequence[str]) -> mail.Composer:
        return mail.Composer(campaign.slug, campaign.metadata, campaign.html, campaign.text, columns)

    def idents(self, campaign: Campaign, columns: Sequence[str]) -> Idents:
        return mail.MessageIds(campaign.slug, campaign.metadata, columns)

    def account(self, credentials: Path) -> Smtp:
        return read_credentials(credentials)

    def wires(self, account: Smtp, connections: int, pipelining: bool = True) -> list[Wire[Any]]:
        from runner.channel.smtp import SmtpWire

        each = min(_PER_CONNECTION, account.limits.per_connection or _PER_CONNECTION)
        return [SmtpWire(account, pipelining=pipelining, per_connection=each) for _ in range(connections)]


class TextMessages:
    def check(self, cell: str) -> Address | BadAddress:
        return phone.check(cell)

    def sources(self, campaign: Campaign) -> list[Source]:
        return [sms.source(campaign.text or "")]

    def composer(self, campaign: Campaign, columns: Sequence[str]) -> sms.SmsComposer:
        return sms.SmsComposer(campaign.slug, campaign.metadata, campaign.text or "", columns)

    def idents(self, campaign: Campaign, columns: Sequence[str]) -> Idents:
        return sms.TextIds(campaign.slug)

    def account(self, credentials: Path) -> Sms:
        return read_sms(credentials)

    def wires(self, account: Sms, connections: int, pipelining: bool = True) -> list[Wire[Any]]:
        if account.kind == "smpp":
            with _installed("smpp"):
                from runner.channel.smpp import smpp_wires
            return list(smpp_wires(account, connections))
        with _installed("sms"):
            from runner.channel.twilio import twilio_wires
        return list(twilio_wires(account, connections))


@contextmanager
def _installed(extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Refused(
            CONFIG,
            f"text messages by {extra} need {error.name}, which is not installed: opsconsole[{extra}] has it",
        ) from None


def channel_for(channel: str) -> Channel:
    """`channel` as the metadata says it: "email" or "sms"."""
    return TextMessages() if channel == "sms" else Email()
