"""The stand-in's reading of SQL against a real PostgreSQL, on the same rows: the same people, or both refuse."""

import random
from collections.abc import Iterator
from datetime import datetime

import pytest

from backends.embedded.listmonk.standin import StandIn
from backends.embedded.listmonk.subscriber_query import COLUMNS, BadQuery, matching
from tests.listmonk.test_standin_audience import AHEAD, DONE, EXACT
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.needs("postgres")]

TABLES = ("subscribers", "lists", "subscriber_lists", "campaigns", "campaign_lists")
NUMBERS = {"id", "subscriber_id", "list_id", "campaign_id", "to_send", "sent", "template_id"}
NUMBERS |= {"last_subscriber_id", "max_subscriber_id"}
QUERIES = (
    EXACT, AHEAD, DONE,
    "subscribers.status = 'disabled' OR NOT subscribers.id > 20",
    "name IS NULL OR email IN ('s3@example.com', 's9@example.com')",
    "subscribers.id IN (SELECT subscriber_id FROM subscriber_lists WHERE status <> 'confirmed')",
    "NOT EXISTS (SELECT 1 FROM subscriber_lists AS sl WHERE sl.subscriber_id = subscribers.id)",
    "id NOT IN (SELECT sl.subscriber_id FROM subscriber_lists sl INNER JOIN lists l ON sl.list_id = l.id "
    "WHERE l.optin = 'double' AND sl.status = 'confirmed')",
    "subscribers.id <= (SELECT max_subscriber_id FROM campaigns WHERE campaigns.id = 99)",
    "subscribers.id > (SELECT template_id FROM campaigns WHERE campaigns.id = {0})",
    "EXISTS (SELECT 1 FROM campaign_lists cl JOIN subscriber_lists sl ON sl.list_id = cl.list_id AND "
    "sl.status != 'unsubscribed' WHERE sl.subscriber_id = subscribers.id AND cl.list_id IS NOT NULL)",
    "subscribers.id NOT IN (SELECT cl.list_id FROM campaign_lists cl WHERE cl.campaign_id = {0})",
    "subscribers.status != 'it''s' AND (subscribers.id < 5 OR subscribers.id >= 30) AND true",
)  # fmt: skip
WRONG = (
    "subscribers.status = ", "subscribers.nothing = 1", "nobody.id = 1", "(subscribers.id = 1", "id = 1)",
    "EXISTS (SELECT 1 FROM subscriber_lists", "id IN ()", "and id = 1", "subscribers.id == 1",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.stop()


def crowd(seed: int) -> StandIn:
    """Forty people in three lists, in every status; two campaigns, one with a list that is gone."""
    chance, on = random.Random(seed), StandIn()
    lists = [on.add_list("A"), on.add_list("B", optin="double"), on.add_list("C")]
    for number in range(1, 41):
        status = chance.choice(("enabled", "enabled", "disabled", "blocklisted"))
        person = on.database.add_subscriber(f"s{number}@example.com", f"S {number}", status=status)
        for of in chance.sample(lists, chance.randint(0, 3)):
            on.database.subscribe(person.id, of.id, chance.choice(("confirmed", "unconfirmed", "unsubscribed")))
    on.add_campaign("First", *lists[:2], last_subscriber_id=chance.randint(0, 40))
    on.add_campaign("Second", *lists[1:], last_subscriber_id=chance.randint(0, 40), template_id=None)
    on.database.delete_list(lists[2].id)
    return on


def rows(on: StandIn, table: str) -> list[dict[str, object]]:
    base = on.database
    if table == "campaign_lists":
        found = [(one, of) for one in base.campaigns.values() for of in one.lists]
        return [{"campaign_id": one.id, "list_id": of.list_id, "list_name": of.name} for one, of in found]
    made = {
        "subscribers": base.subscribers.values(),
        "lists": base.lists.values(),
        "campaigns": base.campaigns.values(),
        "subscriber_lists": [row for members in base.members.values() for row in members.values()],
    }[table]
    return [{column: getattr(row, column) for column in COLUMNS[table]} for row in made]


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text if isinstance(value, int) else "'" + text.replace("'", "''") + "'"


def copied(server: Postgres, on: StandIn) -> str:
    """The schema that has the same rows."""
    schema = server.new().rpartition("%3D")[2]
    statements = []
    for table in TABLES:
        columns = ", ".join(f"{name} {'INT' if name in NUMBERS else 'TEXT'}" for name in COLUMNS[table])
        statements.append(f"CREATE TABLE {table} ({columns})")
        values = (", ".join(map(literal, row.values())) for row in rows(on, table))
        statements += [f"INSERT INTO {table} VALUES ({row})" for row in values]
    server.sql(*statements, schema=schema)
    return schema


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_people_match(server: Postgres, seed: int) -> None:
    on = crowd(seed)
    schema = copied(server, on)
    for campaign in on.database.campaigns:
        for query in QUERIES:
            asked = query.format(campaign)
            found = server.sql(f"SELECT subscribers.id FROM subscribers WHERE {asked}", schema=schema)
            assert matching(on.database, asked) == {row[0] for row in found}, asked
        exact = matching(on.database, EXACT.format(campaign))
        assert sorted(exact) == on.database.audience(on.campaign(campaign))


def test_what_one_refuses_the_other_refuses(server: Postgres) -> None:
    import psycopg

    on = crowd(3)
    schema = copied(server, on)
    for query in WRONG:
        with pytest.raises(BadQuery):
            matching(on.database, query)
        with pytest.raises(psycopg.Error):
            server.sql(f"SELECT subscribers.id FROM subscribers WHERE {query}", schema=schema)
