"""What a hold can be on, and what its records carry as their campaign."""

EVERYTHING = "everything"
"""The scope of a hold on all campaigns; no slug, since records of it carry it under `scope`."""
HOST = "host:"
"""Begins the scope of a hold on one carrier."""
GLOBAL = "*"


def hold_key(scope: str) -> str:
    """What a hold's records carry as their campaign: the slug, `host:NAME`, or `*` for everything."""
    return GLOBAL if scope == EVERYTHING else scope
