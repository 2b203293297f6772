"""What SES says, as the engine's outcome."""

import pytest

from runner.channel.port import Kind, ServerRefusesUs
from runner.worker.answers import refused


@pytest.mark.parametrize(
    ("code", "text", "status", "kind"),
    [
        ("TooManyRequestsException", "Maximum sending rate exceeded.", 429, Kind.DEFERRED),
        ("ThrottlingException", "Rate exceeded", 400, Kind.DEFERRED),
        (
            "MessageRejected",
            "Email address is not verified. The following identities failed",
            400,
            Kind.SENDER_REFUSED,
        ),
        ("MailFromDomainNotVerifiedException", "no", 400, Kind.SENDER_REFUSED),
        ("MessageRejected", "The message has a virus in it", 400, Kind.FAILED),
        ("BadRequestException", "Missing final '@domain'", 400, Kind.FAILED),
        ("WhoKnows", "never heard of", 400, Kind.SENDER_REFUSED),
        ("InternalFailure", "", 500, Kind.UNKNOWN),  # it may have been taken: never again by itself
        ("ServiceUnavailable", "", 503, Kind.UNKNOWN),
    ],
)
def test_answers(code: str, text: str, status: int, kind: Kind) -> None:
    assert refused(code, text, status).outcome.kind is kind


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("SendingPausedException", ""),
        ("AccountSuspendedException", ""),
        ("LimitExceededException", ""),
        ("TooManyRequestsException", "Daily message quota exceeded."),
        ("ExpiredTokenException", ""),
    ],
)
def test_what_stops_everything_says_so(code: str, text: str) -> None:
    with pytest.raises(ServerRefusesUs, match="SES"):
        refused(code, text, 400)


def test_who_may_not_be_mailed_is_suppressed() -> None:
    assert refused("MessageRejected", "Address is on the suppression list", 400).suppressed
