"""What AWS and botocore say when something goes wrong, as `ports.Trouble` in three plain sentences. Pure.

`why(error, call)` never raises and keeps no secret: AWS's own words are redacted, masked and shortened.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from opsconsole.ports import NotThere, OutOfReach, Refused, Trouble
from opsconsole.redact import mask_addresses, redact, visible


class Denied(Refused):
    """The credentials aren't allowed to do it. `action` is what IAM calls it, such as `dynamodb:Scan`."""

    def __init__(self, action: str, what: str, means: str, next_step: str) -> None:
        super().__init__(what, means, next_step)
        self.action = action


class BadCredentials(Refused):
    """There are none, or AWS doesn't know them or they ran out."""


class Throttled(OutOfReach):
    """AWS wants fewer calls, also after the repeats; nothing was done."""


class CantDo(Refused):
    """This service, or what stands in for it, hasn't got that call."""


class ConditionFailed(Refused):
    """The item isn't as the condition of a write wants it; nothing was written. `item` is what is there, in
    DynamoDB's own typed form, where `ReturnValuesOnConditionCheckFailure` asked for it and the service tells."""

    def __init__(self, what: str, means: str, next_step: str, item: Mapping[str, Any] | None) -> None:
        super().__init__(what, means, next_step)
        self.item = item


class Unclear(Trouble):
    """The call was made and its answer is lost: it may have been done. Only calls made `once` end like this."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a service: `service` and `operation` as boto3 names them; `target` is the table, queue or the like.

    `repeatable` says that doing it twice is the same as once, so that a lost answer means nothing.
    """

    service: str
    operation: str
    target: str = ""
    repeatable: bool = True

    @property
    def action(self) -> str:
        """What IAM calls the permission, such as `sqs:SendMessage`."""
        name = "".join(part.capitalize() for part in self.operation.split("_"))
        if self.service == "sqs":
            name = name.removesuffix("Batch")
        return f"{PREFIXES.get(self.service, self.service)}:{name}"

    def __str__(self) -> str:
        name = "".join(part.capitalize() for part in self.operation.split("_"))
        where = f" of {visible(self.target, 80)}" if self.target else ""
        return f"{SERVICES.get(self.service, self.service)} {name}{where}"


SERVICES: Final = {
    "dynamodb": "DynamoDB",
    "sqs": "SQS",
    "ses": "SES",
    "sesv2": "SES",
    "cloudwatch": "CloudWatch",
    "sts": "STS",
}
PREFIXES: Final = {"sesv2": "ses"}
THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "PriorRequestNotComplete",
        "SlowDown",
    }
)
DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden"}
)
NOT_ACCEPTED: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "IncompleteSignature",
        "AuthFailure",
    }
)
RAN_OUT: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
NOT_THERE: Final = frozenset(
    {
        "ResourceNotFoundException",
        "NonExistentQueue",
        "QueueDoesNotExist",
        "NotFoundException",
    }
)
UNKNOWN_CALL: Final = frozenset(
    {"UnknownOperationException", "InvalidAction", "NotImplemented", "UnsupportedOperation", "404", "501"}
)


def why(error: Exception, call: Call) -> Trouble:
    """The trouble that `error` of botocore means for `call`."""
    name = type(error).__name__
    if name == "ResponseParserError":
        return _cant_do(call)
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return _answered(response, call)
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return no_credentials(text_of(error))
    if "Token" in name or name in ("UnauthorizedSSOTokenError", "LoginRefreshRequired"):
        return _ran_out(text_of(error))
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"):
        return OutOfReach(
            f"{call} could not be asked: {text_of(error)}",
            "Nothing was done",
            "Check the network, the region and, where one is configured, the endpoint",
        )
    if name in ("ParamValidationError", "UnknownParameterError"):
        return Refused(f"{call} can't be asked like that: {text_of(error)}", "Nothing was done")
    return _lost(f"{call} gave no answer: {text_of(error)}", call)


@contextmanager
def afterwards(done: str) -> Iterator[None]:
    """For what follows a deed, such as looking at what came of it. Refused and OutOfReach say that nothing was
    done: here they become Trouble that says what was `done`, a sentence without its full stop."""
    try:
        yield
    except (Refused, OutOfReach) as error:
        raise Trouble(
            f"{done}; what came of it can't be told: {error.what}", "It isn't undone", "Look at it again"
        ) from error


def no_credentials(detail: str = "") -> BadCredentials:
    """None were found, or what should give them failed."""
    return BadCredentials(
        f"No AWS credentials can be used{f': {detail}' if detail else ''}",
        "Nothing can be asked of AWS",
        "Set AWS_PROFILE or `profile`, run `aws sso login`, or give this machine a role",
    )


def text_of(error: Exception) -> str:
    return shown(str(error) or type(error).__name__)


def shown(text: str) -> str:
    """Somebody else's words in one short line, without secrets and without whole addresses."""
    return visible(mask_addresses(redact(text)), 300).rstrip(".")


def _answered(response: Mapping[str, Any], call: Call) -> Trouble:
    error = response.get("Error")
    error = error if isinstance(error, Mapping) else {}
    code, message = str(error.get("Code", "")), shown(str(error.get("Message", "")))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code.rpartition("#")[2]
    kind = code.rpartition(".")[2]  # SQS's and KMS's have a service before a dot
    said = f"{code}: {message}" if message else code
    if kind == "ConditionalCheckFailedException":
        return ConditionFailed(
            f"{call}: the item isn't what it was, or not what it must be",
            "Somebody else changed it, so nothing was written",
            "Look again",
            response.get("Item"),
        )
    if kind in DENIED:
        on = f" on {visible(call.target, 80)}" if call.target else ""
        return Denied(
            call.action,
            f"AWS doesn't allow these credentials {call.action}{on}",
            f"{call} can't be asked: {message or code}",
            f"Have {call.action} added to the policy, or use another profile",
        )
    if kind in NOT_ACCEPTED:
        return BadCredentials(
            f"AWS doesn't accept the credentials: {said}",
            "Nothing can be asked of AWS",
            "Check the profile, the key and this machine's clock",
        )
    if kind in RAN_OUT:
        return _ran_out(said)
    if kind in THROTTLED or "Throttl" in kind:
        return Throttled(
            f"{call} was throttled, also after repeating it: {said}",
            "AWS takes fewer calls than are made, by this console or by somebody else; this one did nothing",
            "Wait a little, or look less often (refresh_every)",
        )
    if kind in NOT_THERE:
        return NotThere(
            f"{visible(call.target, 80) or call} isn't there: {said}",
            f"{call} can't be asked in this account and region",
            "Check the name, the region and the account in the configuration",
        )
    if kind in UNKNOWN_CALL or status == 501:
        return _cant_do(call)
    if isinstance(status, int) and status >= 500:
        return _lost(f"{call} failed on the side of AWS: {said}", call)
    return Refused(f"{call} was refused: {said}", "Nothing was done")


def _lost(what: str, call: Call) -> Trouble:
    if call.repeatable:
        return OutOfReach(what, "Whatever it did, doing it again is the same", "Try again in a moment")
    return Unclear(what, "It may have been done", "Look at what is there before anything is done again")


def _ran_out(said: str) -> BadCredentials:
    return BadCredentials(
        f"The AWS credentials ran out: {said}",
        "Nothing can be asked of AWS",
        "Sign in again, for example with `aws sso login`",
    )


def _cant_do(call: Call) -> CantDo:
    return CantDo(f"This service can't do {call}", "It hasn't got that call, so nothing was done")
