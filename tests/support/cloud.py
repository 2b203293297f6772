"""AWS on loopback: moto's server, with what it lacks of SQS and SES, and faults on demand.

What is added lives in moto's own backend objects, so that moto's reset forgets it too: SQS's tasks that move
messages out of a dead-letter queue; of SES v2 the account, its switch for sending, and the suppression list.
"""

import io
import json
import logging
import socket
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import boto3
from botocore.config import Config
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.moto_server import threaded_moto_server
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.ses.models import ses_backends
from moto.sesv2 import urls as sesv2_urls
from moto.sesv2.responses import SESV2Response
from moto.sqs.responses import SQSResponse

import tests.support.moto_queues
import tests.support.moto_transactions  # noqa: F401 - both before a server starts

REGION, ACCOUNT = "us-west-2", "123456789012"
KEY, SECRET = "AKIAEXAMPLEEXAMPLE01", "not-a-real-secret"  # moto takes any


@dataclass
class SesAccount:
    """What SES says of an account; tests set it."""

    per_day: float = 50_000.0
    per_second: float = 14.0
    sent: float = 0.0
    enabled: bool = True
    production: bool = True
    enforcement: str = "HEALTHY"
    suppressed: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Fault:
    """What the next `times` calls meet: "deny", "throttle", "broken" (500), "unknown" (a page of HTML), "lose"
    (done, and cut before the answer) or "cut" (not done). `after` so many calls that go well."""

    kind: str
    times: int = 1
    after: int = 0


class Cloud:
    """A moto server on a free port. `endpoint` is its address for every service."""

    def __init__(self) -> None:
        for noisy in ("werkzeug", "moto"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self.faults: dict[str, list[Fault]] = {}
        self.calls: deque[str] = deque(maxlen=100_000)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        plain = threaded_moto_server.DomainDispatcherApplication
        # The server makes its application in its own thread, before start() returns.
        threaded_moto_server.DomainDispatcherApplication = lambda make: _Faulty(plain(make), self)  # type: ignore[assignment,misc]
        try:
            self._server.start()
        finally:
            threaded_moto_server.DomainDispatcherApplication = plain  # type: ignore[misc]
        host, self.port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{self.port}"
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.session.Session().client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id=KEY,
                aws_secret_access_key=SECRET,
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
            )
        return self._clients[service]

    @property
    def ses(self) -> SesAccount:
        return _account(ses_backends[ACCOUNT][REGION])

    @property
    def mails(self) -> list[Any]:
        """What SES took, in order: moto's own objects, with `source`, `destinations` and the like."""
        return list(ses_backends[ACCOUNT][REGION].sent_messages)

    def fault(self, call: str, kind: str, times: int = 1, after: int = 0) -> None:
        """Let calls meet a fault. `call` is such as `dynamodb.Scan`, `sqs.SendMessageBatch`, `ses.GetSendQuota`,
        and for SES v2 `ses.GET /v2/email/account`."""
        self.faults.setdefault(call, []).append(Fault(kind, times, after))

    def reset(self) -> None:
        from moto.core.base_backend import BackendDict

        self.faults.clear()
        self.calls.clear()
        BackendDict.reset()

    def stop(self) -> None:
        for client in self._clients.values():
            client.close()
        self._server.stop()


class _Faulty:
    """In front of moto: notes each call, and lets it meet the fault that is due."""

    def __init__(self, app: Any, cloud: Cloud) -> None:
        self._app, self._cloud = app, cloud

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = _name(environ)
        self._cloud.calls.append(name)
        kind = self._due(name)
        if kind == "lose":
            list(self._app(environ, lambda *_: None))
        if kind in ("lose", "cut"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        if kind:
            return _failure(kind, environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def _due(self, name: str) -> str:
        for fault in self._cloud.faults.get(name, ()):
            if fault.after > 0:
                fault.after -= 1
                return ""
            if fault.times > 0:
                fault.times -= 1
                return fault.kind
        return ""


def _name(environ: dict[str, Any]) -> str:
    parts = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
    service = parts[3] if len(parts) > 3 else ""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return f"{service}.{target.rpartition('.')[2]}"
    path = environ.get("PATH_INFO", "")
    if path.startswith(("/v2/", "/service/")):
        return f"{service}.{environ.get('REQUEST_METHOD')} {path}"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    return f"{service}.{action}"


_CODES = {
    "deny": (403, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/ana is not authorized"),
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
    "broken": (500, "InternalServerError", "We had an internal error"),
}


def _failure(kind: str, environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if kind == "unknown":
        start_response("404 Not Found", [("Content-Type", "text/html")])
        return [b"<!doctype html><title>404</title><p>Not Found"]
    status, code, message = _CODES[kind]
    xml = "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", "")
    if xml:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>0</RequestId></ErrorResponse>"
        )
    else:
        body = json.dumps({"__type": code, "message": message})
    start_response(
        f"{status} {kind}",
        [("Content-Type", "text/xml" if xml else "application/x-amz-json-1.0"), ("x-amzn-errortype", code)],
    )
    return [body.encode()]


def _account(backend: Any) -> SesAccount:
    return backend.__dict__.setdefault("console_account", SesAccount())  # type: ignore[no-any-return]


def _ses(response: Any) -> SesAccount:
    return _account(ses_backends[response.current_account][response.region])


def _answer(told: dict[str, Any] | None = None) -> str:
    return json.dumps(told or {})


class _NotListed(JsonRESTError):
    code = 404

    def __init__(self) -> None:
        super().__init__("NotFoundException", "not on the list")


def _get_account(self: Any) -> str:
    account = _ses(self)
    return _answer(
        {
            "ProductionAccessEnabled": account.production,
            "SendingEnabled": account.enabled,
            "EnforcementStatus": account.enforcement,
            "SendQuota": {
                "Max24HourSend": account.per_day,
                "MaxSendRate": account.per_second,
                "SentLast24Hours": account.sent,
            },
        }
    )


def _put_sending(self: Any) -> str:
    _ses(self).enabled = bool(json.loads(self.body).get("SendingEnabled", False))
    return _answer()


def _put_suppressed(self: Any) -> str:
    asked = json.loads(self.body)
    _ses(self).suppressed[asked["EmailAddress"]] = {
        "EmailAddress": asked["EmailAddress"],
        "Reason": asked["Reason"],
        "LastUpdateTime": int(time.time()),
    }
    return _answer()


def _list_suppressed(self: Any) -> str:
    entries = list(_ses(self).suppressed.values())
    size = min(int(self._get_param("PageSize") or 1000), 1000)
    begin = int(self._get_param("NextToken") or 0)
    told: dict[str, Any] = {"SuppressedDestinationSummaries": entries[begin : begin + size]}
    if begin + size < len(entries):
        told["NextToken"] = str(begin + size)
    return _answer(told)


def _get_suppressed(self: Any) -> Any:
    entry = _ses(self).suppressed.get(unquote(self.uri.rpartition("/")[2]))
    if entry is None:
        raise _NotListed
    return _answer({"SuppressedDestination": entry})


def _delete_suppressed(self: Any) -> Any:
    if _ses(self).suppressed.pop(unquote(self.uri.rpartition("/")[2]), None) is None:
        raise _NotListed
    return _answer()


def _start_move(self: Any) -> ActionResult:
    """Everything in the dead-letter queue goes back, at once: to the destination, else to the queue it serves."""
    backend, source = self.sqs_backend, self._get_param("SourceArn")
    dead = backend.get_queue(source.rpartition(":")[2])
    served = list(backend.list_dead_letter_source_queues(dead.name))
    to = self._get_param("DestinationArn")
    queue = backend.get_queue(to.rpartition(":")[2]) if to else served[0]
    moving, dead._messages = list(dead._messages), []
    for message in moving:
        message.approximate_receive_count, message.visible_at = 0, 0
        queue.add_message(message)
    task = {
        "TaskHandle": str(uuid.uuid4()),
        "Status": "COMPLETED",
        "SourceArn": source,
        "ApproximateNumberOfMessagesMoved": len(moving),
        "ApproximateNumberOfMessagesToMove": len(moving),
        "StartedTimestamp": int(time.time() * 1000),
    }
    if to:
        task["DestinationArn"] = to
    _tasks(backend).insert(0, task)
    return ActionResult({"TaskHandle": task["TaskHandle"]})


def _list_moves(self: Any) -> ActionResult:
    source, most = self._get_param("SourceArn"), int(self._get_param("MaxResults") or 1)
    mine = [task for task in _tasks(self.sqs_backend) if task["SourceArn"] == source]
    return ActionResult({"Results": mine[:most]})


def _tasks(backend: Any) -> list[dict[str, Any]]:
    return backend.__dict__.setdefault("console_tasks", [])  # type: ignore[no-any-return]


def _teach() -> None:
    """Put what is missing into moto, before a server starts."""
    SQSResponse.start_message_move_task = _start_move  # type: ignore[attr-defined]
    SQSResponse.list_message_move_tasks = _list_moves  # type: ignore[attr-defined]
    for name, does in {
        "get_account": _get_account,
        "put_account_sending_attributes": _put_sending,
        "put_suppressed_destination": _put_suppressed,
        "list_suppressed_destinations": _list_suppressed,
        "get_suppressed_destination": _get_suppressed,
        "delete_suppressed_destination": _delete_suppressed,
    }.items():
        setattr(SESV2Response, name, does)
    paths = (
        "account$",
        "account/sending$",
        "suppression/addresses$",
        "suppression/addresses/(?P<EmailAddress>[^/]+)$",
    )
    for path in paths:
        sesv2_urls.url_paths["{0}/v2/email/" + path] = SESV2Response.dispatch


_teach()


def running() -> Iterator[Cloud]:
    """For a fixture: a cloud that is stopped in the end."""
    cloud = Cloud()
    try:
        yield cloud
    finally:
        cloud.stop()
