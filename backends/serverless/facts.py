"""What a pre-flight of the pipeline looks at, gathered at once. Looks only; no queue is received from."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, TypeVar

from backends.serverless import content, ses
from backends.serverless.audience import Audience, read
from backends.serverless.pipe import Pipe, Queue
from backends.serverless.rendering import Rendering, sample_of
from backends.serverless.values import plain, text, typed
from opsconsole.ports import OutOfReach, Trouble
from opsconsole.settings import Serverless
from runner.message.template import Finding, Source, unknown_variables

T = TypeVar("T")

SAMPLE = 50  # contacts whose mail is made; the dry run makes everybody's
LOOKED_BACK = timedelta(minutes=15)
TEMPLATES = ("subject", "body", "text", "from_email", "reply_to", "list_unsubscribe")


@dataclass(frozen=True, kw_only=True)
class PipelineFacts:
    """`unread` says by topic what couldn't be asked: "queue", "dead", "ses", "sender", "deliveries", "receives".

    `has` counts the contacts that have a field. `unknown` are variables that no contact has. `senders` are the
    identities asked about, each verified or not. `receives` is how often somebody asked the queue for messages
    lately; None where CloudWatch doesn't tell.
    """

    item: Mapping[str, Any]
    digests: Mapping[str, str]
    settings: Serverless
    audience: Audience
    has: Counter[str] = field(default_factory=Counter)
    unknown: tuple[Finding, ...] = ()
    sample: Rendering = field(default_factory=Rendering)
    account: ses.Account | None = None
    senders: Mapping[str, bool] = field(default_factory=dict)
    queue: Queue | None = None
    dead: Queue | None = None
    begun: bool = False  # somebody has a delivery of it
    receives: float | None = None
    unread: Mapping[str, str] = field(default_factory=dict)


def gather(pipe: Pipe, slug: str) -> PipelineFacts:
    """Everything the checks need. What one service doesn't tell is named in `unread`; Raises Trouble where the
    campaign or its contacts can't be read."""
    item = pipe.campaign(slug)
    has: Counter[str] = Counter()
    first: list[dict[str, Any]] = []

    def page(audience: Audience, contacts: list[dict[str, Any]]) -> None:
        for contact in contacts:
            has.update(contact.keys())
        first.extend(contacts[: SAMPLE - len(first)])

    audience = read(pipe, item, most_pages=pipe.settings.pages, on_page=page)
    unread: dict[str, str] = {}
    asked = _Asked(unread)
    queue = asked.of("queue", pipe.queue)
    return PipelineFacts(
        item=item,
        digests=content.digests(item),
        settings=pipe.settings,
        audience=audience,
        has=has,
        unknown=tuple(unknown(item, has)),
        sample=sample_of(item, first),
        account=asked.of("ses", lambda: ses.account(pipe.aws)) if pipe.settings.channel == "ses" else None,
        senders=asked.of("sender", lambda: senders(pipe, item)) or {},
        queue=queue,
        dead=asked.of("dead", lambda: pipe.dead_letter(queue)) if queue else None,
        begun=bool(asked.of("deliveries", lambda: begun(pipe, text(item, "campaign_id")))),
        receives=asked.of("receives", lambda: receives(pipe, queue, pipe.now())) if queue else None,
        unread=unread,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    unread: dict[str, str]

    def of(self, topic: str, ask: Callable[[], T]) -> T | None:
        """The answer; None where it can't be had, and why is noted. Raises OutOfReach."""
        try:
            return ask()
        except OutOfReach:
            raise
        except Trouble as error:
            self.unread[topic] = str(error)
            return None


def unknown(item: Mapping[str, Any], has: Mapping[str, int]) -> list[Finding]:
    """Variables of the templates that no contact has; syntax errors as well. Runs no template."""
    return [
        finding
        for name in TEMPLATES
        if text(item, name)
        for finding in unknown_variables(Source(text(item, name), name, html=name == "body"), list(has))
    ]


def senders(pipe: Pipe, item: Mapping[str, Any]) -> dict[str, bool]:
    """The sender's address and its domains, each verified at SES or not; {} where it isn't one address."""
    address = parseaddr(text(item, "from_email"))[1].lower()
    domain = address.rpartition("@")[2]
    if pipe.settings.channel != "ses" or "@" not in address or "{" in address:
        return {}
    labels = domain.split(".")
    names = [address, *(".".join(labels[at:]) for at in range(len(labels) - 1))]
    answer = pipe.aws.ask("ses", "get_identity_verification_attributes", Identities=names)
    told = answer.get("VerificationAttributes", {})
    return {name: told.get(name, {}).get("VerificationStatus") == "Success" for name in names}


def begun(pipe: Pipe, campaign_id: str) -> bool:
    answer = pipe.aws.ask(
        "dynamodb",
        "query",
        TableName=pipe.settings.deliveries_table,
        KeyConditionExpression="campaign_id = :c",
        ExpressionAttributeValues=typed({":c": campaign_id}),
        ProjectionExpression="campaign_id",
        ConsistentRead=True,
        Limit=1,
    )
    return any(map(plain, answer.get("Items", ())))


def receives(pipe: Pipe, queue: Queue | None, now: datetime) -> float | None:
    """How often the queue was asked for messages lately, with and without success; None where nobody counted."""
    if queue is None:
        return None
    dimensions = [{"Name": "QueueName", "Value": queue.name}]
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SQS", "MetricName": name, "Dimensions": dimensions},
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for number, name in enumerate(("NumberOfEmptyReceives", "NumberOfMessagesReceived"))
    ]
    answer = pipe.aws.ask(
        "cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=now - LOOKED_BACK, EndTime=now
    )
    values = [float(value) for result in answer.get("MetricDataResults", ()) for value in result.get("Values", ())]
    return sum(values) if values else None
