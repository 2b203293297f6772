"""Workers of the pipeline as processes of their own, and a campaign for them in a stand-in of AWS."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.aws import ENVIRONMENT, FORGOTTEN, Pipeline, plain, typed
from tests.support.cloud import ACCOUNT, REGION

QUEUED_AT = "2026-05-12T08:00:00+00:00"


class Worker:
    """`mail-blast-runner worker` on a pipeline's queue. It says what it says into a file in `folder`."""

    def __init__(self, pipeline: Pipeline, folder: Path, *more: str, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
        command = [sys.executable, "-m", "runner", "worker", "--queue", pipeline.queue_url, "--region", REGION]
        command += ["--endpoint", pipeline.cloud.endpoint, "--poll", "1", *more]
        self.out = folder / f"worker-{time.monotonic_ns()}"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**inherited, **ENVIRONMENT, "MAIL_BLAST_RETRY_BASE": "1", **environment},
            )

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines() if line.startswith("{")]

    @property
    def text(self) -> str:
        return self.out.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self, seconds: float = 60) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def addresses(count: int) -> list[str]:
    """So many people, none of whom the counting sink puts off."""
    return [f"p{number:05d}x@example.com" for number in range(count)]


def queued(pipeline: Pipeline, campaign_id: str, people: Sequence[str], **fields: Any) -> None:
    """A campaign of which everybody is in the queue."""
    total = len(people)
    pipeline.campaign(
        campaign_id,
        status="queued",
        run_id="run",
        total_contacts=total,
        queued_count=total,
        queued_at=QUEUED_AT,
        **fields,
    )
    pipeline.queue(campaign_id, *people)


def by_smtp(port: int) -> dict[str, Any]:
    return {"email_service": "smtp", "smtp_server": "127.0.0.1", "smtp_port": port}


def change(pipeline: Pipeline, campaign_id: str, **fields: Any) -> None:
    """Set attributes of a campaign, as the console does."""
    names = {f"#{name}": name for name in fields}
    pipeline.cloud.client("dynamodb").update_item(
        TableName=pipeline.settings.campaigns_table,
        Key=typed({"campaign_id": campaign_id}),
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in fields),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=typed({f":{name}": value for name, value in fields.items()}),
    )


def peeked(pipeline: Pipeline, campaign_id: str) -> dict[str, Any]:
    """The campaign's item, looked at from behind: nothing is asked of the stand-in."""
    from moto.dynamodb.models import dynamodb_backends

    items = dynamodb_backends[ACCOUNT][REGION].tables[pipeline.settings.campaigns_table].items
    found = next(item.to_json()["Attributes"] for key, item in items.items() if key.value == campaign_id)
    return plain(found)


def states(pipeline: Pipeline, campaign_id: str) -> dict[str, str]:
    """The state of each delivery, looked at from behind: a query of thousands takes the stand-in minutes."""
    from moto.dynamodb.models import dynamodb_backends

    table = dynamodb_backends[ACCOUNT][REGION].tables[pipeline.settings.deliveries_table]
    found = [item.to_json()["Attributes"] for by_hash in list(table.items.values()) for item in by_hash.values()]
    return {i["contact_email"]["S"]: i["state"]["S"] for i in found if i["campaign_id"]["S"] == campaign_id}


def decide(pipeline: Pipeline, campaign_id: str, taken: Callable[[str], bool]) -> list[str]:
    """Decide each unknown recipient as the other side knows it, and queue those again that it didn't take. Whoever
    is to be sent again."""
    unknown = [who for who, state in states(pipeline, campaign_id).items() if state == "unknown"]
    again = [who for who in unknown if not taken(who)]
    client = pipeline.cloud.client("dynamodb")
    for who in unknown:
        client.update_item(
            TableName=pipeline.settings.deliveries_table,
            Key=typed({"campaign_id": campaign_id, "contact_email": who}),
            UpdateExpression="SET #state = :state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=typed({":state": "resend" if who in again else "sent"}),
        )
    counts = pipeline.item(campaign_id)
    going = {"status": "processing"} if again else {}
    sent = counts.get("sent_count", 0) + len(unknown) - len(again)
    change(pipeline, campaign_id, unknown_count=0, sent_count=sent, **going)
    pipeline.queue(campaign_id, *again, run_id="again")
    return again


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something. Raises AssertionError when it doesn't come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
