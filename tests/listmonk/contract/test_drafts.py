"""Drafts: what an edit needs and does, and whom they would mail."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.listmonk.contract.peer import Peer

EXACT = (
    "subscribers.status != 'blocklisted' AND EXISTS (SELECT 1 FROM subscriber_lists sl "
    "JOIN campaign_lists cl ON cl.list_id=sl.list_id JOIN lists l ON l.id=sl.list_id "
    "WHERE cl.campaign_id={0} AND sl.subscriber_id=subscribers.id AND "
    "((l.optin='double' AND sl.status='confirmed') OR (l.optin!='double' AND sl.status!='unsubscribed')))"
)
AHEAD = EXACT + " AND subscribers.id > (SELECT last_subscriber_id FROM campaigns WHERE campaigns.id={0})"
DONE = EXACT + " AND subscribers.id <= (SELECT last_subscriber_id FROM campaigns WHERE campaigns.id={0})"


def at(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def test_a_new_campaign_is_a_draft_that_counts_nobody_yet(listmonk: Peer) -> None:
    draft = listmonk.draft(2)
    row = listmonk.campaign(draft.id)
    assert (row["status"], row["to_send"], row["sent"], row["started_at"]) == ("draft", 0, 0, None)
    assert [one["id"] for one in row["lists"]] == [draft.list_id]
    found = listmonk.data(
        "GET", "/api/campaigns", params={"tag": listmonk.prefix, "per_page": "all", "no_body": "true"}
    )
    assert ([one["id"] for one in found["results"]], found["per_page"]) == ([draft.id], 0)
    assert found["results"][0]["body"] == ""
    assert "last_subscriber_id" not in row


def test_an_edit_needs_the_lists_and_keeps_the_rest(listmonk: Peer) -> None:
    draft = listmonk.draft(1)
    before = listmonk.campaign(draft.id)
    path = f"/api/campaigns/{draft.id}"
    assert listmonk.refusal("PUT", path, json={"subject": "Other"}) == 400
    listmonk.data("PUT", path, json={"subject": "Other", "lists": [draft.list_id]})
    after = listmonk.campaign(draft.id)
    assert (after["subject"], after["name"], after["body"]) == ("Other", before["name"], before["body"])
    assert after["tags"] == before["tags"]
    assert after["updated_at"] != before["updated_at"]


def test_a_date_must_lie_ahead_and_taking_it_away_unschedules(listmonk: Peer) -> None:
    listmonk.need("campaigns:send")
    draft = listmonk.draft(1)
    path, lists = f"/api/campaigns/{draft.id}", [draft.list_id]
    assert listmonk.refusal("PUT", path, json={"lists": lists, "send_at": at(-1)}) == 400
    listmonk.data("PUT", path, json={"lists": lists, "send_at": at(48)})
    assert listmonk.put_status(draft.id, "scheduled").status_code == 200
    listmonk.data("PUT", path, json={"lists": lists, "send_at": None})
    row = listmonk.campaign(draft.id)
    assert (row["status"], row["send_at"]) == ("draft", None)


def test_a_messenger_and_a_body_are_checked(listmonk: Peer) -> None:
    draft = listmonk.draft(1)
    path, lists = f"/api/campaigns/{draft.id}", [draft.list_id]
    assert listmonk.refusal("PUT", path, json={"lists": lists, "messenger": "no-such"}) == 400
    assert listmonk.refusal("PUT", path, json={"lists": lists, "body": "{{ NoSuchFunction }}"}) == 400


def test_a_preview_is_rendered_for_nobody(listmonk: Peer) -> None:
    draft = listmonk.draft(1)
    reply = listmonk.client.get(f"/api/campaigns/{draft.id}/preview")
    assert reply.headers["content-type"].startswith("text/html")
    assert "Hello Demo" in reply.text
    broken = {"content_type": "html", "body": "{{ .Subscriber.NoSuchField }}"}
    assert listmonk.client.post(f"/api/campaigns/{draft.id}/preview", data=broken).status_code == 400


def test_a_test_needs_subscribers_and_every_field(listmonk: Peer) -> None:
    draft = listmonk.draft(1)
    path, body = f"/api/campaigns/{draft.id}/test", listmonk.content([draft.list_id])
    assert listmonk.refusal("POST", path, json={**body, "subscribers": ["nobody-at-all@example.com"]}) == 400
    known = {**body, "subscribers": list(draft.emails)}
    assert listmonk.refusal("POST", path, json={**known, "messenger": ""}) == 400
    assert listmonk.refusal("POST", path, json={**known, "send_at": at(-1)}) == 400
    assert listmonk.data("POST", path, json=known) is True  # queued
    assert listmonk.campaign(draft.id)["to_send"] == 0


@pytest.mark.slow
def test_the_exact_audience_can_be_asked_for(listmonk: Peer) -> None:
    listmonk.need_to_make()
    listmonk.need("subscribers:sql_query")
    single, double = listmonk.new_list("single"), listmonk.new_list("double", optin="double")
    listmonk.new_subscriber("both", [single, double])
    listmonk.new_subscriber("fresh", [single], confirmed=False)
    listmonk.new_subscriber("maybe", [double], confirmed=False)
    listmonk.new_subscriber("disabled", [single], status="disabled")
    listmonk.new_subscriber("blocked", [single], status="blocklisted")
    row = listmonk.new_campaign([single, double])

    def total(query: str) -> int:
        asked = {"query": query.format(row["id"]), "per_page": 1}
        found: int = listmonk.data("GET", "/api/subscribers", params=asked)["total"]
        return found

    assert (total(EXACT), total(AHEAD), total(DONE)) == (3, 3, 0)  # the disabled one is mailed
    lists: list[tuple[str, str | int]] = [("list_id", single), ("list_id", double), ("search", listmonk.prefix)]
    assert listmonk.data("GET", "/api/subscribers", params=lists)["total"] == 6  # one of them twice
    assert listmonk.refusal("GET", "/api/subscribers", params={"query": "nonsense ="}) in (400, 500)
