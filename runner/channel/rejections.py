"""What the refusals of those who carry text messages mean: final or not, about whom, and which class they count as.

A class is the first word of an outcome's text: `unsubscribed: 21610 ...`. Codes nobody wrote down here are taken as
not being about the recipient, so that ten of them in a row stop the send instead of failing everybody.
"""

from typing import NamedTuple

from runner.channel.port import Kind


class Meaning(NamedTuple):
    kind: Kind
    name: str


NUMBER = Meaning(Kind.FAILED, "number")  # no such phone, or none that takes text messages
UNSUBSCRIBED = Meaning(Kind.FAILED, "unsubscribed")  # answered STOP
REGION = Meaning(Kind.FAILED, "region")  # the account may not, or can't, send there
UNREACHABLE = Meaning(Kind.FAILED, "unreachable")
BLOCKED = Meaning(Kind.FAILED, "blocked")
FILTERED = Meaning(Kind.FAILED, "filtered")  # the carrier took it for spam
CONTENT = Meaning(Kind.FAILED, "content")
CARRIER = Meaning(Kind.FAILED, "carrier")
SENDER = Meaning(Kind.SENDER_REFUSED, "sender")
ACCOUNT = Meaning(Kind.SENDER_REFUSED, "account")
OTHER = Meaning(Kind.SENDER_REFUSED, "other")
THROTTLED = Meaning(Kind.DEFERRED, "throttled")
BUSY = Meaning(Kind.DEFERRED, "busy")

LOGIN = frozenset({20003, 20005, 20006, 20404})  # gateway codes: nothing will go through with this account

GATEWAY = {
    20429: THROTTLED,
    14107: THROTTLED,
    21211: NUMBER,
    21212: SENDER,
    21214: UNREACHABLE,
    21217: NUMBER,
    21219: REGION,
    21408: REGION,
    21601: SENDER,
    21602: CONTENT,
    21603: SENDER,
    21604: NUMBER,
    21605: CONTENT,
    21606: SENDER,
    21608: REGION,
    21610: UNSUBSCRIBED,
    21611: THROTTLED,
    21612: REGION,
    21614: NUMBER,
    21617: CONTENT,
    21618: CONTENT,
    21619: CONTENT,
    21659: SENDER,
    21660: SENDER,
    21703: SENDER,
    21704: SENDER,
    21705: SENDER,
    30001: CARRIER,
    30002: ACCOUNT,
    30003: UNREACHABLE,
    30004: BLOCKED,
    30005: NUMBER,
    30006: UNREACHABLE,
    30007: FILTERED,
    30008: CARRIER,
    30034: SENDER,
    63038: THROTTLED,
}

SMPP = {
    0x01: CONTENT,  # ESME_RINVMSGLEN
    0x08: BUSY,  # ESME_RSYSERR
    0x0A: SENDER,  # ESME_RINVSRCADR
    0x0B: NUMBER,  # ESME_RINVDSTADR
    0x14: THROTTLED,  # ESME_RMSGQFUL
    0x45: CARRIER,  # ESME_RSUBMITFAIL
    0x48: SENDER,  # ESME_RINVSRCTON
    0x49: SENDER,  # ESME_RINVSRCNPI
    0x50: NUMBER,  # ESME_RINVDSTTON
    0x51: NUMBER,  # ESME_RINVDSTNPI
    0x58: THROTTLED,  # ESME_RTHROTTLED
    0x64: BUSY,  # ESME_RX_T_APPN
    0x65: CARRIER,  # ESME_RX_P_APPN
    0x66: BLOCKED,  # ESME_RX_R_APPN
    0xFE: UNREACHABLE,  # ESME_RDELIVERYFAILURE
}

CLASSES = frozenset(meaning.name for meaning in (*GATEWAY.values(), *SMPP.values(), BUSY, OTHER))


def gateway(code: int) -> Meaning:
    return GATEWAY.get(code, OTHER)


def smpp(status: int) -> Meaning:
    return SMPP.get(status, OTHER)


def hide(text: str, number: str) -> str:
    """What the other side said, on one line, without the recipient's number in it."""
    digits = number.lstrip("+")
    return " ".join(text.replace(f"+{digits}", "•••").replace(digits, "•••").split())[:300]
