"""A second opinion on tables: dynalite's reading of DynamoDB, where moto's is one hand's work like any other."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from backends.serverless.aws import Aws, Meter
from backends.serverless.pipe import Pipe
from backends.serverless.pipeline import ServerlessBackend
from backends.serverless.reasons import look
from backends.serverless.troubles import ConditionFailed
from backends.serverless.writes import Change, Must, change
from opsconsole.observation import Says
from opsconsole.ports import NotThere, Surroundings
from opsconsole.settings import Serverless
from tests.support.aws import make_table, typed
from tests.support.cloud import KEY, REGION, SECRET
from tests.support.npm import installed

pytestmark = [pytest.mark.needs("node"), pytest.mark.needs("npm"), pytest.mark.slow]

SCRIPT = Path(__file__).parents[1] / "support" / "dynalite.js"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    environment = {**os.environ, "NODE_PATH": str(installed("dynalite@4.0.0"))}
    process = subprocess.Popen(["node", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def pipe(endpoint: str, aws_credentials: None, surroundings: Surroundings) -> Iterator[Pipe]:
    """Tables of this test alone: they are never taken away, as little as on AWS."""
    mark = f"{time.monotonic_ns()}"
    settings = Serverless(
        region=REGION,
        endpoint=endpoint,
        campaigns_table=f"campaigns-{mark}",
        deliveries_table=f"deliveries-{mark}",
    )
    dynamodb = client(endpoint)
    make_table(dynamodb, settings.campaigns_table, "campaign_id")
    make_table(dynamodb, settings.deliveries_table, "campaign_id", "contact_email")
    for table in (settings.campaigns_table, settings.deliveries_table):
        dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 0.1})
    found = Pipe("bulk", Aws(settings), settings, surroundings)
    yield found
    found.aws.close()


@cache
def client(endpoint: str) -> Any:
    session = boto3.session.Session(KEY, SECRET, region_name=REGION)
    return session.client("dynamodb", endpoint_url=endpoint)


def put(pipe: Pipe, table: str, **item: object) -> None:
    client(pipe.settings.endpoint).put_item(TableName=table, Item=typed(item))


def test_a_table_of_several_megabytes_comes_in_pages_of_one(pipe: Pipe) -> None:
    for number in range(12):
        put(pipe, pipe.settings.campaigns_table, campaign_id=f"c{number}", body="x" * 300_000)
    request, meter = {"TableName": pipe.settings.campaigns_table}, Meter()

    pages = list(pipe.pages("scan", request, meter=meter))

    assert sum(len(page["Items"]) for page in pages) == 12
    assert len(pages) >= 4
    assert meter.requests == len(pages)
    assert meter.total >= 12 * 300_000 / 4096 / 2
    assert len(list(pipe.pages("scan", request, most=2))) == 2


def test_the_source_reads_its_campaigns_and_names_what_there_is_not(pipe: Pipe, surroundings: Surroundings) -> None:
    put(
        pipe,
        pipe.settings.campaigns_table,
        campaign_id="spring",
        status="processing",
        total_contacts=5,
        sent_count=2,
    )
    put(pipe, pipe.settings.campaigns_table, campaign_id="Über Uns", status="draft", subject="Hello")
    backend = ServerlessBackend("bulk", pipe.settings, surroundings)

    report = backend.observe()
    backend.close()

    found = {o.reference: o for o in report.observations}
    assert (found["spring"].says, found["Über Uns"].says) == (Says.RUNNING, Says.NOTHING)
    assert report.trouble == ""
    assert any("The queue couldn't be looked at" in finding for finding in report.findings)


def test_a_conditional_change_has_one_winner_and_the_loser_reads_what_is_there(pipe: Pipe) -> None:
    put(pipe, pipe.settings.campaigns_table, campaign_id="spring", status="draft")

    def claim(run_id: str) -> Change:
        must = [Must("status", "is or absent", "draft"), Must("run_id", "absent")]
        return Change(must=must, sets={"status": "queued", "run_id": run_id}, adds={"version": 1})

    won = change(pipe, "spring", claim("r1"))
    with pytest.raises(ConditionFailed) as lost:
        change(pipe, "spring", claim("r2"))

    assert (won["status"], won["run_id"], won["version"]) == ("queued", "r1", 1)
    # dynalite, unlike DynamoDB, doesn't tell what is there with the refusal: it is asked for.
    assert lost.value.item
    assert lost.value.item["run_id"] == "r1"


def test_failures_are_grouped_by_a_query_with_a_filter(pipe: Pipe) -> None:
    for number in range(30):
        state, error = ("failed", f"MessageRejected: p{number}@example.com") if number % 3 else ("sent", "")
        person = {"campaign_id": "spring", "contact_email": f"p{number}@example.com"}
        put(pipe, pipe.settings.deliveries_table, **person, state=state, error=error)
    put(pipe, pipe.settings.deliveries_table, campaign_id="other", contact_email="x@example.com", state="failed")

    found = look(pipe, "spring", 3, Meter())

    assert found.failed == (("MessageRejected: …", 20),)
    assert found.whole


def test_a_table_that_is_not_there_is_named(pipe: Pipe) -> None:
    with pytest.raises(NotThere, match="no-such-table"):
        pipe.aws.ask("dynamodb", "scan", TableName="no-such-table")


def test_numbers_and_odd_values_come_back_as_they_went(pipe: Pipe) -> None:
    put(pipe, pipe.settings.campaigns_table, campaign_id="odd", count=10**20, share=0.5, tags={"a", "b"}, flag=True)
    item = pipe.item("odd")
    assert (item["count"], float(item["share"]), item["tags"], item["flag"]) == (10**20, 0.5, {"a", "b"}, True)
