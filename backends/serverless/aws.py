"""AWS's services as the pipeline needs them: boto3's clients, made when first used, every call bounded.

`Aws.ask` may be repeated by the client (standard mode, three attempts in all), so it is for calls of which twice
is the same as once: everything that only looks; PutItem, UpdateItem with SET alone and DeleteItem without a
condition; DeleteMessage and its batch, SetQueueAttributes; SendMessage and its batch to a FIFO queue with a
de-duplication id, within its five minutes; to a standard queue only where a second reference to the same person is
harmless, which the deliveries table makes it (whoever makes the item sends).

`Aws.once` is never repeated: conditional writes (the repeat of one that was done fails at its own trace),
UpdateItem with ADD (it would count twice), SES SendEmail (it would mail twice), StartMessageMoveTask, PurgeQueue.
An answer that is lost is then `Unclear`: look at what is there, by the run id or lease that the write carries.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from backends.serverless.troubles import BadCredentials, Call, no_credentials, text_of, why
from opsconsole.config import duration
from opsconsole.ports import OutOfReach, Refused
from opsconsole.settings import Serverless

ATTEMPTS: Final = 3
CONNECT_WITHIN: Final = 3.0  # s
CREDENTIALS_WITHIN: Final = 10.0  # s; a helper process or a single sign-on may be waiting for somebody
CONNECTIONS: Final = 10
TARGETS: Final = ("TableName", "QueueUrl", "QueueName", "SourceArn", "EmailIdentity", "ConfigurationSetName")


@dataclass(slots=True)
class Meter:
    """What one look cost: requests, and DynamoDB's capacity units as it tells them, by table. For one thread."""

    requests: int = 0
    units: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.units.values())

    def add(self, answer: Mapping[str, Any]) -> None:
        self.requests += 1
        consumed = answer.get("ConsumedCapacity", ())
        for entry in [consumed] if isinstance(consumed, Mapping) else consumed or ():
            units = entry.get("CapacityUnits")
            if isinstance(units, int | float):
                table = str(entry.get("TableName", ""))
                self.units[table] = self.units.get(table, 0.0) + float(units)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who AWS takes us for."""

    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class CredentialsKind:
    """Where the credentials come from, in botocore's word such as `sso` or `shared-credentials-file`, and when they
    end. Never the credentials. `key` is the last four characters of the access key's id."""

    method: str
    key: str
    expires: datetime | None


class Aws:
    """The clients of one account and region. Safe to use from several threads; clients are shared, sessions not.

    Raises Refused when boto3 isn't installed or the profile isn't there, both at the first call.
    """

    def __init__(self, settings: Serverless) -> None:
        self._settings = settings
        self._seconds = duration(settings.timeout).total_seconds()
        self._lock = threading.Lock()
        self._session: Any = None
        self._credentials: Any = None
        self._finding: _Finding | None = None
        self._clients: dict[tuple[str, bool], Any] = {}
        self._identity: Identity | None = None

    def ask(self, service: str, operation: str, *, meter: Meter | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer to a call that may be repeated. Raises Refused, OutOfReach or one of `troubles`' kinds."""
        return self._call(Call(service, operation, _target(arguments)), meter, arguments)

    def once(self, service: str, operation: str, *, meter: Meter | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer to a call made at most once. Raises like `ask`, and Unclear when its answer is lost."""
        return self._call(Call(service, operation, _target(arguments), repeatable=False), meter, arguments)

    def identity(self) -> Identity:
        """Who we are by STS, which needs no permission; asked once."""
        if self._identity is None:
            answer = self.ask("sts", "get_caller_identity")
            self._identity = Identity(str(answer.get("Account", "")), str(answer.get("Arn", "")))
        return self._identity

    def credentials(self) -> CredentialsKind:
        """What kind of credentials are used. Raises BadCredentials when there are none."""
        with self._lock:
            credentials = self._signed_in()
        expires = getattr(credentials, "_expiry_time", None)
        return CredentialsKind(
            str(getattr(credentials, "method", "") or "unknown"),
            str(getattr(credentials, "access_key", ""))[-4:],
            expires.astimezone(UTC) if isinstance(expires, datetime) and expires.tzinfo else None,
        )

    def close(self) -> None:
        """Let go of all connections. A later call makes new ones."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            self._session = self._credentials = None
        for client in clients:
            client.close()

    def _call(self, call: Call, meter: Meter | None, arguments: dict[str, Any]) -> dict[str, Any]:
        client = self._client(call.service, call.repeatable)  # first: it says so when boto3 isn't installed
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.parsers import ResponseParserError

        if meter is not None and call.service == "dynamodb" and call.operation not in ("describe_table",):
            arguments = {"ReturnConsumedCapacity": "TOTAL", **arguments}
        try:
            answer: dict[str, Any] = getattr(client, call.operation)(**arguments)
        except (BotoCoreError, ClientError, HTTPClientError, ResponseParserError) as error:
            raise why(error, call) from None
        if meter is not None:
            meter.add(answer)
        return answer

    def _client(self, service: str, repeatable: bool) -> Any:
        with self._lock:
            self._signed_in()
            if (service, repeatable) not in self._clients:
                self._clients[service, repeatable] = self._made(service, repeatable)
            return self._clients[service, repeatable]

    def _made(self, service: str, repeatable: bool) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS if repeatable else 1},
            connect_timeout=min(CONNECT_WITHIN, self._seconds),
            read_timeout=self._seconds,
            max_pool_connections=CONNECTIONS,
            user_agent_appid="opsconsole",
        )
        try:
            return self._session.client(service, config=config, endpoint_url=self._settings.endpoint or None)
        except (BotoCoreError, ValueError) as error:
            raise Refused(
                f"No client for {service} can be made: {text_of(error)}", "", "Check region and endpoint"
            ) from None

    def _signed_in(self) -> Any:
        """The credentials, found or renewed within a limit of time. The lock is held."""
        if self._credentials is not None and not _wants_renewal(self._credentials):
            return self._credentials
        if self._session is None:
            self._session = _session(self._settings)
        if self._finding is None:
            self._finding = _Finding(self._session)
        try:
            self._credentials = self._finding.within(CREDENTIALS_WITHIN)
        except BadCredentials:
            self._finding = None
            raise
        self._finding = None
        return self._credentials


def _session(settings: Serverless) -> Any:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise Refused(
            "boto3 isn't installed",
            "Without it nothing can be asked of AWS",
            "Install it: pip install 'opsconsole[aws]'",
        ) from None
    try:
        return boto3.session.Session(profile_name=settings.profile or None, region_name=settings.region)
    except BotoCoreError as error:
        raise BadCredentials(
            f"The AWS profile can't be used: {text_of(error)}", "", "Check `profile` and ~/.aws/config"
        ) from None


def _wants_renewal(credentials: Any) -> bool:
    asks = getattr(credentials, "refresh_needed", None)
    return bool(asks()) if callable(asks) else False


class _Finding:
    """Credentials on their way. What gives them may hang for ever and can't be stopped from here: it runs
    aside, and whoever asks again while it does waits for that very one."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._found: Any = None
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="aws-credentials", daemon=True)
        self._thread.start()

    def within(self, seconds: float) -> Any:
        """Raises BadCredentials, and OutOfReach while nothing came; then it may be asked again."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise OutOfReach(
                f"The AWS credentials didn't come within {seconds:g} s",
                "What should give them waits, perhaps for somebody to sign in; nothing was asked of AWS",
                "Run `aws sts get-caller-identity` in a shell and see what it waits for",
            )
        if self._found is None:
            raise no_credentials(text_of(self._failed) if self._failed else "")
        return self._found

    def _run(self) -> None:
        try:
            found = self._session.get_credentials()
            if found is not None:
                found.get_frozen_credentials()
            self._found = found
        except Exception as error:  # any provider's own kind
            self._failed = error


def _target(arguments: Mapping[str, Any]) -> str:
    for name in TARGETS:
        if value := arguments.get(name):
            return str(value).rpartition("/")[2] if name == "QueueUrl" else str(value)
    return ""
