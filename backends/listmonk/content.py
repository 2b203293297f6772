"""What a campaign's content is made of, by part, each with its digest. Pure.

The same digests stand in the observation, the dry run and the check at the last moment: one of them differs as soon
as anything was edited.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from backends.listmonk.campaigns import Campaign
from backends.listmonk.reading import plain
from opsconsole.digests import content_digest
from opsconsole.observation import Content

PARTS: Final = ("subject", "body", "lists", "template", "settings", "updated_at")


def digests(campaign: Campaign, template: str = "") -> dict[str, str]:
    """The sha256 of each part. `campaign` was read with its body; `template` is the digest of its template's text,
    "" where the token may not read that: then only a change of template is seen, not one in it."""
    return {
        "subject": _digest(campaign.subject),
        "body": _digest(campaign.content_type, campaign.body, campaign.altbody, sorted(map(repr, campaign.media))),
        "lists": _digest(campaign.type, sorted(map(repr, campaign.lists))),
        "template": _digest(campaign.template_id, template),
        "settings": _digest(campaign.messenger, campaign.sender, list(campaign.headers)),
        "updated_at": _digest(campaign.updated),
    }


def template_digest(template: Mapping[str, Any]) -> str:
    """Of what it makes of a body; not of its name."""
    return _digest(*(_said(template.get(key)) for key in ("type", "subject", "body")))


def content(campaign: Campaign, template: str = "", audience: int | None = None) -> Content:
    """`audience` as it was last counted; it moves with every subscription, so it is never exact."""
    found = digests(campaign, template)
    return Content(
        digest=content_digest(found),
        digests=tuple(sorted(found.items())),
        rows=audience,
        rows_exact=False,
    )


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()


def _said(value: Any) -> str:
    return plain(value, 2**24) if isinstance(value, str) else ""
