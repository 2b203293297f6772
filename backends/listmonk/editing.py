"""The one change of a campaign that the console makes by itself: its date is taken away."""

from typing import Any

from backends.listmonk.client import MANAGES, Client
from backends.listmonk.reading import items, mapping


def without_date(client: Client, campaign_id: int) -> None:
    """Take its `send_at` away; a scheduled one becomes a draft by that. Raises as Client.write."""
    raw = client.raw_campaign(campaign_id)
    body: dict[str, Any] = {"send_at": None, **unchanged(raw)}
    client.write("PUT", f"/campaigns/{campaign_id}", body, f"Editing campaign {campaign_id}", needs=MANAGES)


def unchanged(raw: dict[str, Any]) -> dict[str, Any]:
    """What must be sent along so that it stays: an edit keeps what isn't named, but for these."""
    return {
        "lists": [number for number in _ids(raw, "lists") if number],
        "media": [number for number in _ids(raw, "media") if number],
        "attribs": raw.get("attribs") or {},
    }


def _ids(raw: dict[str, Any], key: str) -> list[Any]:
    return [mapping(entry, key).get("id") for entry in items(raw.get(key), key)]
