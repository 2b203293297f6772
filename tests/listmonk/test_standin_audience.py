"""Whom a campaign mails, and what the API's numbers of it are worth."""

import pytest

from backends.embedded.listmonk.standin import StandIn
from backends.embedded.listmonk.subscriber_query import BadQuery, matching
from tests.support.listmonk import Listmonk

EXACT = (
    "subscribers.status != 'blocklisted' AND EXISTS (SELECT 1 FROM subscriber_lists sl "
    "JOIN campaign_lists cl ON cl.list_id=sl.list_id JOIN lists l ON l.id=sl.list_id "
    "WHERE cl.campaign_id={0} AND sl.subscriber_id=subscribers.id AND "
    "((l.optin='double' AND sl.status='confirmed') OR (l.optin!='double' AND sl.status!='unsubscribed')))"
)
AHEAD = EXACT + " AND subscribers.id > (SELECT last_subscriber_id FROM campaigns WHERE campaigns.id={0})"
DONE = EXACT + " AND subscribers.id <= (SELECT last_subscriber_id FROM campaigns WHERE campaigns.id={0})"


@pytest.fixture
def on() -> StandIn:
    """Its rows alone: nothing is started."""
    return StandIn()


def two_lists(on: StandIn) -> int:
    single, double = on.add_list("Single"), on.add_list("Double", optin="double")
    on.add_person("both@example.com", single, double)
    on.add_person("disabled@example.com", single, status="disabled")
    on.add_person("fresh@example.com", single, subscription="unconfirmed")
    on.add_person("gone@example.com", single, subscription="unsubscribed")
    on.add_person("maybe@example.com", double, subscription="unconfirmed")
    on.add_person("blocked@example.com", single, status="blocklisted")
    on.add_person("sure@example.com", double)
    return on.add_campaign("July", single, double)


def emails(on: StandIn, numbers: set[int]) -> set[str]:
    return {on.database.subscribers[number].email.partition("@")[0] for number in numbers}


def test_whom_it_mails(on: StandIn) -> None:
    number = two_lists(on)
    mailed = set(on.database.audience(on.campaign(number)))
    assert emails(on, mailed) == {"both", "disabled", "fresh", "sure"}
    optin = on.add_campaign("Confirm", *on.database.lists.values(), type="optin")
    assert emails(on, set(on.database.audience(on.campaign(optin)))) == {"maybe"}


def test_the_documented_queries_count_exactly_those(on: StandIn) -> None:
    number = two_lists(on)
    mailed = set(on.database.audience(on.campaign(number)))
    assert matching(on.database, EXACT.format(number)) == mailed
    on.database.campaigns[number].last_subscriber_id = 2
    assert emails(on, matching(on.database, DONE.format(number))) == {"both", "disabled"}
    assert emails(on, matching(on.database, AHEAD.format(number))) == {"fresh", "sure"}


def test_a_query_is_read_by_its_structure(on: StandIn) -> None:
    number = two_lists(on)
    other = (
        f"exists ( select 1 from campaign_lists as c inner join subscriber_lists as s on s.list_id = c.list_id "
        f"where s.subscriber_id = subscribers.id and c.campaign_id = {number} and not s.status = 'unsubscribed' "
        f"and s.list_id in (select id from lists where optin <> 'double') ) and subscribers.status <> 'blocklisted'"
    )
    assert emails(on, matching(on.database, other)) == {"both", "disabled", "fresh"}
    assert emails(on, matching(on.database, "email = 'sure@example.com' or subscribers.id in (1, 2)")) == {
        "both", "disabled", "sure",
    }  # fmt: skip
    assert (
        matching(on.database, "subscribers.id > (SELECT last_subscriber_id FROM campaigns WHERE id = 99)") == set()
    )
    assert matching(on.database, "subscribers.name IS NULL") == set()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("subscribers.status != ", "end of input"),
        ("subscribers.status ~ 'x'", "syntax error"),
        ("1; DROP TABLE subscribers", "syntax error"),
        ("EXISTS (SELECT 1 FROM users)", "'users' is not allowed"),
        ("EXISTS (SELECT 1 FROM sessions s WHERE s.id = '1')", "'sessions' is not allowed"),
        ("subscribers.password = 'x'", "does not exist"),
        ("people.id = 1", "missing FROM-clause"),
        ("subscribers.id > 'a'", "operator does not exist"),
        ("subscribers.id = 1 subscribers.id", "syntax error"),
    ],
)
def test_anything_else_is_refused(on: StandIn, query: str, why: str) -> None:
    two_lists(on)
    with pytest.raises(BadQuery, match=why):
        matching(on.database, query)


def test_it_is_asked_over_the_api_by_those_who_may(standin: Listmonk) -> None:
    number = two_lists(standin.standin)
    ask = {"query": EXACT.format(number), "per_page": "1"}
    with standin.as_user(standin.manager) as client:
        found = client.get("/api/subscribers", params=ask).json()["data"]
        assert (found["total"], len(found["results"])) == (4, 1)
        reply = client.get("/api/subscribers", params={"query": "nonsense ~"})
        assert reply.status_code == 400
    with standin.as_user(standin.reader) as client:
        reply = client.get("/api/subscribers", params=ask)
        assert (reply.status_code, reply.json()) == (403, {"message": "Permission denied: subscribers:sql_query"})


def test_two_lists_count_a_person_twice(standin: Listmonk) -> None:
    two_lists(standin.standin)
    with standin.as_user(standin.reader) as client:
        assert client.get("/api/subscribers?list_id=1&list_id=2").json()["data"]["total"] == 8
        assert client.get("/api/subscribers").json()["data"]["total"] == 7
        confirmed = client.get("/api/subscribers?list_id=2&subscription_status=confirmed").json()["data"]
        assert {row["email"] for row in confirmed["results"]} == {"both@example.com", "sure@example.com"}
        (both,) = client.get("/api/subscribers?search=^both").json()["data"]["results"]
        assert [of["subscription_status"] for of in both["lists"]] == ["confirmed", "confirmed"]
