"""What SES says of a mail, as the engine's outcome. Pure.

SES takes mail for an address on its own suppression list and drops it, which nobody is told here; only an answer
that names that list is counted as suppressed.
"""

import re
from dataclasses import dataclass
from typing import Final

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.policy.bounces import AUTH, bounce_class

THROTTLED: Final = 429
_REFUSED: Final = 554

_OURS: Final = {
    "SendingPausedException": "sending is paused for this account or configuration set",
    "AccountSuspendedException": "the account is suspended from sending",
    "AccessDeniedException": "the credentials may not send: they need ses:SendEmail",
    "AccessDenied": "the credentials may not send: they need ses:SendEmail",
    "UnrecognizedClientException": "the credentials are not known",
    "InvalidClientTokenId": "the credentials are not known",
    "ExpiredTokenException": "the credentials have expired",
    "ExpiredToken": "the credentials have expired",
    "SignatureDoesNotMatch": "the credentials are wrong",
    "InvalidSignatureException": "the credentials are wrong, or the clock is",
    "NotFoundException": "what the mail is sent by isn't there, such as the configuration set",
}
_SLOWER: Final = frozenset(
    {"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"}
)
_DAILY: Final = re.compile(r"daily|24.?hour", re.IGNORECASE)
_LIST: Final = re.compile(r"suppress|blacklist", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """`message_id` is the mail system's own. `suppressed`: refused since nobody may mail this address."""

    outcome: Outcome
    message_id: str = ""
    suppressed: bool = False


def refused(code: str, text: str, status: int) -> Answer:
    """SES's error `code` with its text and HTTP status. Raises ServerRefusesUs when no mail would go through."""
    if code in _OURS:
        raise ServerRefusesUs(f"SES: {_OURS[code]} ({code})")
    if code == "LimitExceededException" or (code in _SLOWER and _DAILY.search(text)):
        raise ServerRefusesUs(f"SES: the quota of 24 hours is used up ({code})")
    if code in _SLOWER or status == THROTTLED:
        return Answer(Outcome(Kind.DEFERRED, THROTTLED, f"{code}: {text}"))
    if status >= 500 or status < 400:
        return Answer(Outcome(Kind.UNKNOWN, status, f"{code}: {text}"))
    if code == "MessageRejected" and _LIST.search(text):
        return Answer(Outcome(Kind.FAILED, _REFUSED, text), suppressed=True)
    if code == "MessageRejected" and bounce_class(_REFUSED, text) != AUTH and "authority" not in text:
        return Answer(Outcome(Kind.FAILED, _REFUSED, text))
    if code == "BadRequestException":
        return Answer(Outcome(Kind.FAILED, _REFUSED, f"{code}: {text}"))
    return Answer(Outcome(Kind.SENDER_REFUSED, _REFUSED, f"{code}: {text}"))
