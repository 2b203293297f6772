"""A message as people look at it, out of the bytes that would be sent."""

from email import message_from_bytes, policy
from typing import Any

from runner.campaign.address import mask_text
from runner.channel.port import Message
from runner.message.mail import Mail
from runner.message.sms import Text

SHOWN = 400  # characters


def look(message: Message) -> dict[str, Any]:
    """`subject` and the beginning of the `text`, addresses masked; of a text message its `segments` as well."""
    if isinstance(message, Text):
        return {"text": _masked(message.body), "segments": message.segments}
    mail = message_from_bytes(eml(message)[1], policy=policy.default)
    part = mail.get_body(("plain",))
    text = part.get_content().replace("\r\n", "\n") if part is not None else ""
    return {"subject": _masked(str(mail["Subject"])), "text": _masked(text)}


def eml(message: Message) -> tuple[str, bytes]:
    """How the file's name ends, and what is in it."""
    if isinstance(message, Text):
        return ".txt", message.body.encode()
    assert isinstance(message, Mail)
    return ".eml", message.data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")


def _masked(text: str) -> str:
    return "\n".join(map(mask_text, text[:SHOWN].split("\n")))
