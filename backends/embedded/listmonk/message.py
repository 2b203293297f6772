"""One message of a campaign to one person, rendered."""

from typing import Any

from backends.embedded.listmonk import render
from backends.embedded.listmonk.post import Letter
from backends.embedded.listmonk.rows import NO_UUID, Campaign, Subscriber


def values(campaign: Campaign, person: Subscriber, root_url: str, *, preview: bool = False) -> render.Values:
    """What the templates know. A preview's campaign has the empty UUID, so that nothing is tracked."""
    of, to = NO_UUID if preview else campaign.uuid, person.uuid
    unsubscribe = f"{root_url}/subscription/{of}/{to}"
    return render.Values(
        subscriber=person_values(person),
        campaign={
            "ID": campaign.id,
            "UUID": of,
            "Name": campaign.name,
            "Subject": campaign.subject,
            "FromEmail": campaign.from_email,
            "Attribs": campaign.attribs,
        },
        links={
            "UnsubscribeURL": unsubscribe,
            "ManageURL": f"{unsubscribe}?manage=true",
            "OptinURL": f"{root_url}/subscription/optin/{to}?",
            "MessageURL": f"{root_url}/campaign/{of}/{to}",
            "ArchiveURL": f"{root_url}/archive",
            "RootURL": root_url,
            "TrackView": f'<img src="{root_url}/campaign/{of}/{to}/px.png" alt="" />',
            "TrackLink": "{url}" if preview else f"{root_url}/link/{NO_UUID}/{of}/{to}?to={{url}}",
        },
    )


def person_values(person: Subscriber) -> dict[str, Any]:
    """A subscriber by its Go names."""
    first, _, last = person.name.strip().partition(" ")
    return {
        "ID": person.id,
        "UUID": person.uuid,
        "Email": person.email,
        "Name": person.name,
        "FirstName": first,
        "LastName": last.strip(),
        "Status": person.status,
        "Attribs": person.attribs,
    }


def letter(campaign: Campaign, template: str, person: Subscriber, root_url: str, *, test: bool = False) -> Letter:
    """Raises render.Unrenderable."""
    plain = campaign.content_type == "plain"
    known = values(campaign, person, root_url)
    subject, body = render.message(campaign.subject, campaign.body, template, known, plain=plain)
    headers = {name: value for one in campaign.headers for name, value in one.items()}
    headers["X-Listmonk-Campaign"], headers["X-Listmonk-Subscriber"] = campaign.uuid, person.uuid
    return Letter(
        campaign.from_email, person.email, subject, body, campaign.content_type, campaign.messenger,
        campaign.id, campaign.name, person.id, test, headers,
    )  # fmt: skip
