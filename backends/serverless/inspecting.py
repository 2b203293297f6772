"""What of the pipeline is reached, allowed and missing, for `opsconsole doctor`; and who may act on it.

Looks only. Whether a table may be written is asked by a write whose condition can't hold: nothing is written.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from backends.serverless import metrics, ses
from backends.serverless.aws import CredentialsKind
from backends.serverless.pipe import Pipe, Queue
from backends.serverless.troubles import ConditionFailed
from backends.serverless.values import typed
from opsconsole.ports import Access, NotThere, OutOfReach, Told, Trouble
from opsconsole.schedule import say_span

NEVER: Final = "attribute_exists(campaign_id) AND attribute_not_exists(campaign_id)"
NOBODY: Final = {"campaign_id": "opsconsole-doctor"}
KEYS: Final = {
    "campaigns": ("campaign_id",),
    "contacts": ("email",),
    "deliveries": ("campaign_id", "contact_email"),
}
LONG_LIVED: Final = {
    "env": "environment variables",
    "shared-credentials-file": "~/.aws/credentials",
    "config-file": "~/.aws/config",
}
ENDS_SOON: Final = timedelta(minutes=30)


def inspect(pipe: Pipe) -> tuple[Told, ...]:
    """One line for each part, by what happened when it was asked. Raises Trouble when AWS can't be reached."""
    return tuple(_lines(pipe))


def _lines(pipe: Pipe) -> Iterator[Told]:
    who = pipe.aws.identity()
    kind = pipe.aws.credentials()
    yield Told(says=f"account {who.account}, region {pipe.settings.region}, as {who.arn} by {_say_kind(kind)}")
    names = {
        "campaigns": pipe.settings.campaigns_table,
        "contacts": pipe.settings.contacts_table,
        "deliveries": pipe.settings.deliveries_table,
    }
    for role, table in names.items():
        yield from _table(pipe, role, table)
    queue: Queue | None = None
    try:
        queue = pipe.queue()
    except Trouble as trouble:
        yield Told(says=f"queue {pipe.settings.queue}: {trouble}", ok=False)
    if queue is not None:
        yield _queue(queue)
        yield from _dead(pipe, queue)
        yield _tried(
            "CloudWatch: the age of the oldest message can be read",
            lambda: metrics.look(pipe.aws, queue.name, "", pipe.now()),
            "without it a backlog is told by our own looks alone",
        )
    if pipe.settings.channel == "ses":
        yield from _ses(pipe)


def _table(pipe: Pipe, role: str, table: str) -> Iterator[Told]:
    try:
        described = pipe.aws.ask("dynamodb", "describe_table", TableName=table).get("Table", {})
        keys = tuple(key.get("AttributeName", "") for key in described.get("KeySchema", ()))
        if keys != KEYS[role]:
            says = f"table {table}: its key is {' + '.join(keys)}, and must be {' + '.join(KEYS[role])}"
            yield Told(says=says, ok=False)
            return
        about = f", {described.get('ItemCount', 0):,} items some hours ago, {described.get('TableStatus', '')}"
    except OutOfReach:
        raise
    except NotThere as trouble:
        yield Told(says=f"table {table}: {trouble}", ok=False)
        return
    except Trouble:
        about = " (dynamodb:DescribeTable isn't allowed)"
    try:
        _read_one(pipe, role, table)
    except Trouble as trouble:
        yield Told(says=f"table {table}: {trouble}", ok=False)
        return
    yield Told(says=f"table {table}: readable{about}")
    if role != "contacts":
        yield _writable(pipe, role, table)


def _read_one(pipe: Pipe, role: str, table: str) -> None:
    if role == "deliveries":
        pipe.aws.ask(
            "dynamodb",
            "query",
            TableName=table,
            KeyConditionExpression="campaign_id = :c",
            ExpressionAttributeValues=typed({":c": NOBODY["campaign_id"]}),
            Limit=1,
        )
    else:
        pipe.aws.ask("dynamodb", "scan", TableName=table, Limit=1)


def _writable(pipe: Pipe, role: str, table: str) -> Told:
    key = {**NOBODY, "contact_email": "nobody@example.com"} if role == "deliveries" else NOBODY
    try:
        pipe.aws.once(
            "dynamodb",
            "update_item",
            TableName=table,
            Key=typed(key),
            UpdateExpression="SET doctor = :d",
            ConditionExpression=NEVER,
            ExpressionAttributeValues=typed({":d": "never"}),
        )
    except ConditionFailed:
        return Told(says=f"table {table}: may be changed (dynamodb:UpdateItem)")
    except Trouble as trouble:
        return Told(says=f"table {table}: it can be looked at, and not sent from or steered. {trouble}", warn=True)
    return Told(says=f"table {table}: a write went through whose condition can't hold: it isn't DynamoDB", ok=False)


def _queue(queue: Queue) -> Told:
    kind = "FIFO" if queue.fifo else "standard"
    policy = queue.redrive
    tries = f", {policy['maxReceiveCount']} tries" if "maxReceiveCount" in policy else ""
    says = (
        f"queue {queue.name}: {kind}, {queue.visible:,} waiting, {queue.in_flight:,} in flight, a batch is with a "
        f"worker for {queue.visibility} s{tries}"
    )
    return Told(says=says)


def _dead(pipe: Pipe, queue: Queue) -> Iterator[Told]:
    try:
        dead = pipe.dead_letter(queue)
    except Trouble as trouble:
        yield Told(says=f"dead-letter queue: {trouble}", ok=False)
        return
    if dead is None:
        says = "no dead-letter queue: what can't be sent is tried again until it is too old, and then gone"
        yield Told(says=says, warn=True)
        return
    yield Told(says=f"dead-letter queue {dead.name}: {dead.visible:,} waiting", ok=True, warn=dead.visible > 0)
    yield _tried(
        "redrive by SQS itself is allowed, as far as looking tells",
        lambda: pipe.aws.ask("sqs", "list_message_move_tasks", SourceArn=dead.arn),
        "a redrive is done by hand then, in batches",
    )


def _ses(pipe: Pipe) -> Iterator[Told]:
    yield _tried("SES v1: the quota can be read", lambda: ses.by_v1(pipe.aws), "v2 tells it as well")
    try:
        account = ses.by_v2(pipe.aws)
    except Trouble as trouble:
        yield Told(says=f"SES v2: whether it may send isn't known. {trouble}", warn=True)
    else:
        quota = f"{account.per_day:,.0f} in 24 h" if account.per_day is not None else "no quota"
        able = account.enabled is not False and account.enforcement in ("", ses.HEALTHY)
        sandbox = ", in the sandbox" if account.production is False else ""
        state = "may send" if able else f"does not send ({account.enforcement or 'switched off'})"
        says = f"SES v2: {state}{sandbox}, {quota}, {account.per_second or 0:g} a second"
        yield Told(says=says, ok=able, warn=able and bool(sandbox))
    yield _tried(
        "SES v2: the suppression list can be read",
        lambda: ses.suppressed(pipe.aws, pages=1),
        "who is on it is queued, and SES drops the mail",
    )


def _tried(well: str, ask: Callable[[], Any], without: str) -> Told:
    try:
        ask()
    except Trouble as trouble:
        return Told(says=f"{trouble} ({without})", warn=True)
    return Told(says=well)


def access(pipe: Pipe, now: datetime) -> tuple[Access, ...]:
    """Whom AWS takes the console for, and what kind of credentials it has. Raises Trouble."""
    who, kind = pipe.aws.identity(), pipe.aws.credentials()
    trouble = ""
    if kind.method in LONG_LIVED and kind.expires is None:
        trouble = "It never ends by itself: use a role or single sign-on, whose credentials do."
    elif kind.expires and kind.expires <= now + ENDS_SOON:
        trouble = f"It ends in {say_span(max(kind.expires - now, timedelta(0)))}: sign in again."
    return (
        Access(
            kind="role",
            name=who.arn,
            where=f"account {who.account}, {pipe.settings.region}",
            scope="what its policies allow; `opsconsole doctor` tells what of it the console can use",
            trouble="It is the root of the account: use a role of its own." if who.arn.endswith(":root") else "",
        ),
        Access(
            kind="credential",
            name=f"access key …{kind.key}",
            where=LONG_LIVED.get(kind.method, kind.method),
            scope=f"until {kind.expires:%Y-%m-%d %H:%M} UTC" if kind.expires else "no end told",
            trouble=trouble,
        ),
    )


def _say_kind(kind: CredentialsKind) -> str:
    ends = f", until {kind.expires:%H:%M} UTC" if kind.expires else ""
    return f"{LONG_LIVED.get(kind.method, kind.method)}{ends}"
