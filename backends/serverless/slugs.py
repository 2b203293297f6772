"""How the pipeline's campaigns are named on the console: a slug for each, and never one for two. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from backends.serverless.values import text
from opsconsole.campaign import is_slug
from runner.worker.schema import Status

LONGEST: Final = 64
DIGEST: Final = 8  # hex digits that tell two ids apart which read the same as a slug
NEEDED: Final = ("campaign_id", "slug", "status", "created_at", "run_id")
"""The attributes that `named` looks at."""


def slug_of(item: Mapping[str, Any]) -> str:
    """Its attribute `slug`, else its `campaign_id`, where that is a slug; else one made of the id."""
    for name in ("slug", "campaign_id"):
        if is_slug(text(item, name)):
            return text(item, name)
    return made_of(text(item, "campaign_id"))


def made_of(campaign_id: str) -> str:
    """`Campaign 12/ä` becomes `campaign-12-` with eight hex digits of its digest; the same each time."""
    digest = hashlib.sha256(campaign_id.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    plain = re.sub(r"[^a-z0-9._]+", "-", campaign_id.lower()).strip("-._")[: LONGEST - DIGEST - 1].rstrip("-._")
    return f"{plain}-{digest}" if plain else digest


def named(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Slug to `campaign_id`, each once. Of those that want the same slug one keeps it: the one of that id, else one
    that has begun, else the oldest, so that what was sent under a name stays under it. The others get one of their
    own, as `doubled` tells."""
    claims: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        claims.setdefault(slug_of(item), []).append(item)
    found: dict[str, str] = {}
    for slug, wanting in claims.items():
        first, *others = sorted(wanting, key=lambda item: _rank(item, slug))
        found[slug] = text(first, "campaign_id")
        for item in others:
            found[made_of(text(item, "campaign_id"))] = text(item, "campaign_id")
    return found


def doubled(slug: str, item: Mapping[str, Any]) -> bool:
    """Whether it goes by `slug` only because another has the one it wants."""
    return slug != slug_of(item)


def _rank(item: Mapping[str, Any], slug: str) -> tuple[bool, bool, str, str]:
    begun = bool(text(item, "run_id")) or item.get("status") not in (None, Status.DRAFT)
    return text(item, "campaign_id") != slug, not begun, text(item, "created_at"), text(item, "campaign_id")
