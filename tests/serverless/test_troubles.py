"""What AWS says when something goes wrong, in plain sentences that leak nothing and never claim too much."""

import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from backends.serverless import aws as aws_module
from backends.serverless.aws import Aws, Meter
from backends.serverless.troubles import (
    BadCredentials,
    Call,
    CantDo,
    ConditionFailed,
    Denied,
    Throttled,
    Unclear,
    why,
)
from opsconsole.ports import NotThere, OutOfReach, Refused, Trouble
from opsconsole.settings import Serverless

SCAN = Call("dynamodb", "scan", "EmailCampaigns")
MAIL = Call("sesv2", "send_email", repeatable=False)
URL = "https://sqs.us-west-2.amazonaws.com/"


def refusal(code: str, message: str = "", status: int = 400, **more: Any) -> ClientError:
    told = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(told, "Operation")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (refusal("AccessDeniedException", "no", 403), Denied, "dynamodb:Scan on EmailCampaigns"),
        (refusal("ThrottlingException", "Rate exceeded"), Throttled, "was throttled"),
        (refusal("ProvisionedThroughputExceededException"), Throttled, "was throttled"),
        (
            refusal("ResourceNotFoundException", "Requested resource not found"),
            NotThere,
            "EmailCampaigns isn't there",
        ),
        (refusal("AWS.SimpleQueueService.NonExistentQueue"), NotThere, "isn't there"),
        (refusal("KMS.AccessDeniedException", "no kms:Decrypt"), Denied, "no kms:Decrypt"),
        (refusal("UnrecognizedClientException", "The security token is invalid"), BadCredentials, "doesn't accept"),
        (refusal("ExpiredTokenException"), BadCredentials, "ran out"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), BadCredentials, "ran out"),
        (NoCredentialsError(), BadCredentials, "No AWS credentials"),
        (EndpointConnectionError(endpoint_url=URL), OutOfReach, "could not be asked"),
        (ConnectTimeoutError(endpoint_url=URL), OutOfReach, "could not be asked"),
        (ReadTimeoutError(endpoint_url=URL), OutOfReach, "gave no answer"),
        (refusal("InternalServerError", "oops", 500), OutOfReach, "failed on the side of AWS"),
        (refusal("UnknownOperationException"), CantDo, "can't do DynamoDB Scan of EmailCampaigns"),
        (ResponseParserError("no XML"), CantDo, "can't do"),
        (refusal("ValidationException", "bad key"), Refused, "ValidationException: bad key"),
    ],
)
def test_every_failure_has_its_kind_and_its_sentence(error: Exception, kind: type[Trouble], says: str) -> None:
    trouble = why(error, SCAN)
    assert type(trouble) is kind
    assert says in str(trouble)
    assert str(trouble).endswith(".")


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url=URL),
        ConnectionClosedError(endpoint_url=URL),
        SSLError(endpoint_url=URL, error="eof"),
        refusal("InternalServerError", status=500),
        refusal("ServiceUnavailable", status=503),
    ],
)
def test_a_lost_answer_to_what_may_be_done_once_is_unclear(error: Exception) -> None:
    trouble = why(error, MAIL)
    assert type(trouble) is Unclear
    assert "may have been done" in str(trouble)
    assert not isinstance(why(error, SCAN), Unclear)


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url=URL), refusal("Throttling"), refusal("AccessDenied")]
)
def test_what_provably_never_began_is_not_unclear(error: Exception) -> None:
    assert isinstance(why(error, MAIL), OutOfReach | Refused)


def test_the_loser_of_a_condition_is_shown_what_is_there() -> None:
    lost = why(refusal("ConditionalCheckFailedException", Item={"status": {"S": "queued"}}), SCAN)
    assert isinstance(lost, ConditionFailed)
    assert lost.item == {"status": {"S": "queued"}}


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (Call("sqs", "send_message_batch"), "sqs:SendMessage"),
        (Call("sesv2", "get_account"), "ses:GetAccount"),
        (Call("dynamodb", "batch_get_item"), "dynamodb:BatchGetItem"),
        (Call("cloudwatch", "get_metric_data"), "cloudwatch:GetMetricData"),
    ],
)
def test_a_permission_is_called_what_iam_calls_it(call: Call, action: str) -> None:
    assert call.action == action


def test_what_aws_says_is_shown_without_addresses_secrets_and_escapes() -> None:
    message = "Email address is not verified: ana.maria@example.com \x1b[2J AKIAABCDEFGHIJKLMNOP " + "x" * 900
    said = str(why(refusal("MessageRejected", message), MAIL))
    assert "ana.maria@" not in said
    assert "\x1b" not in said
    assert "AKIAABCDEFGHIJKLMNOP" not in said
    assert len(said) < 500


def test_the_meter_sums_what_tables_consumed() -> None:
    meter = Meter()
    meter.add({"ConsumedCapacity": {"TableName": "a", "CapacityUnits": 2.5}})
    meter.add(
        {"ConsumedCapacity": [{"TableName": "a", "CapacityUnits": 0.5}, {"TableName": "b", "CapacityUnits": 1}]}
    )
    meter.add({"Attributes": {}})
    assert (meter.requests, meter.total, meter.units) == (3, 4.0, {"a": 3.0, "b": 1.0})


def test_a_console_without_boto3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(Refused, match=r"pip install 'opsconsole\[aws\]'"):
        Aws(Serverless(region="us-west-2")).ask("dynamodb", "scan", TableName="EmailCampaigns")


def test_credentials_that_do_not_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that asks somebody to sign in would otherwise hold the console for ever."""

    class Session:
        def get_credentials(self) -> None:
            time.sleep(5)

    monkeypatch.setattr(aws_module, "_session", lambda settings: Session())
    monkeypatch.setattr(aws_module, "CREDENTIALS_WITHIN", 0.05)
    with pytest.raises(OutOfReach, match="didn't come within"):
        Aws(Serverless(region="us-west-2")).ask("sqs", "list_queues")


def test_of_credentials_their_kind_is_told_and_never_their_content(monkeypatch: pytest.MonkeyPatch) -> None:
    class Credentials:
        method, access_key, secret_key = "assume-role", "ASIAEXAMPLEEXAMPLEAB12", "not-a-real-secret"
        _expiry_time = datetime.now(UTC) + timedelta(hours=1)

        def get_frozen_credentials(self) -> None: ...

    class Session:
        def get_credentials(self) -> Credentials:
            return Credentials()

    monkeypatch.setattr(aws_module, "_session", lambda settings: Session())
    kind = Aws(Serverless(region="us-west-2")).credentials()
    assert (kind.method, kind.key) == ("assume-role", "AB12")
    assert kind.expires == Credentials._expiry_time
    assert "not-a-real-secret" not in repr(kind)


def test_a_helper_that_hangs_is_started_once_and_its_answer_is_taken_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed_in, started = Event(), []

    class Credentials:
        method, access_key = "sso", "ASIAEXAMPLEEXAMPLEAB12"

        def get_frozen_credentials(self) -> None: ...

    class Session:
        def get_credentials(self) -> Credentials:
            started.append(1)
            assert signed_in.wait(10)
            return Credentials()

    monkeypatch.setattr(aws_module, "_session", lambda settings: Session())
    monkeypatch.setattr(aws_module, "CREDENTIALS_WITHIN", 0.02)
    console = Aws(Serverless(region="us-west-2"))
    for _ in range(3):
        with pytest.raises(OutOfReach):
            console.credentials()
    signed_in.set()
    monkeypatch.setattr(aws_module, "CREDENTIALS_WITHIN", 10)
    assert console.credentials().method == "sso"
    assert len(started) == 1


def test_credentials_that_fail_are_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [RuntimeError("the token has expired"), None]

    class Session:
        def get_credentials(self) -> None:
            if error := answers.pop(0):
                raise error

    monkeypatch.setattr(aws_module, "_session", lambda settings: Session())
    console = Aws(Serverless(region="us-west-2"))
    with pytest.raises(BadCredentials, match="the token has expired"):
        console.credentials()
    with pytest.raises(BadCredentials, match="aws sso login"):
        console.credentials()
