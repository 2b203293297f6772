"""The mail servers that listmonk sends by, and its settings as they must be sent back so that no password is lost.

It shows each secret as bullets, one for each character, and stores bullets that are sent back; an empty one keeps
what is stored. That holds for the settings as a whole only: a single key is stored as it comes.
"""

import copy
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from backends.listmonk.campaigns import COMING, PAUSED, Listed
from backends.listmonk.client import LOOKS_IN, Client
from backends.listmonk.reading import items, mapping
from backends.listmonk.system import SmtpBlock, Tuning
from opsconsole.ports import Refused

UNCHANGED: Final = "Nothing was changed."
MASK: Final = re.compile("•+")
OF_ONE: Final = "email-"  # what listmonk puts before a block's name to name a messenger


def label(block: SmtpBlock) -> str:
    """Its name, without the `email-` that listmonk stores before it; its host where it has none."""
    return block.name.removeprefix(OF_ONE) or block.host


def say(block: SmtpBlock) -> str:
    return f"{label(block)} ({block.host}:{block.port})" if block.name else f"{block.host}:{block.port}"


def named(blocks: Sequence[SmtpBlock], name: str) -> SmtpBlock | None:
    """The one of this name, with or without `email-` before it; by its host where it has no name."""
    return next((block for block in blocks if _is_named(block.name, block.host, name)), None)


def digest(tuning: Tuning, waits: bool) -> str:
    """Of all that an operation rests on."""
    return hashlib.sha256(repr((tuning, waits)).encode()).hexdigest()[:16]


def named_by(campaigns: Callable[..., Listed], blocks: Sequence[SmtpBlock]) -> tuple[str, ...]:
    """A warning for each campaign to come that goes by one of these servers by name: listmonk cancels it at its
    start when that is switched off."""
    names = {
        block.name if block.name.startswith(OF_ONE) else f"{OF_ONE}{block.name}" for block in blocks if block.name
    }
    if not names:
        return ()
    return tuple(
        f"{it.name} is to go by {it.messenger}: listmonk will cancel it when it starts."
        for it in campaigns(*COMING, PAUSED).campaigns
        if it.messenger in names
    )


def read(client: Client) -> dict[str, Any]:
    """Its settings as they are shown, secrets as bullets."""
    return mapping(client.get("/settings", "Reading its settings", needs=LOOKS_IN), "settings")


def switched(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings to send back so that it sends by this server alone. Raises Refused for a name it hasn't."""
    wanted = copy.deepcopy(raw)
    found = False
    blocks = [mapping(entry, "smtp") for entry in items(wanted.get("smtp"), "smtp")]
    for block in blocks:
        block["enabled"] = not found and _is_named(str(block.get("name", "")), str(block.get("host", "")), name)
        found = found or block["enabled"]
    if not found:
        there = ", ".join(map(_short, blocks)) or "none"
        raise Refused(f"listmonk has no mail server {name[:80]!r}: there are {there[:300]}.", UNCHANGED)
    kept: dict[str, Any] = _emptied(wanted)
    return kept


def using(raw: dict[str, Any]) -> str:
    """The servers that are switched on, in words."""
    blocks = [mapping(entry, "smtp") for entry in items(raw.get("smtp"), "smtp")]
    on = [_short(block) for block in blocks if block.get("enabled")]
    return ", ".join(on) or "none"


def lost_secrets(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """Where a secret was that is another by its length now, or gone."""
    was, now = dict(_secrets(before)), dict(_secrets(after))
    return tuple(place for place, mask in was.items() if now.get(place) != mask)


def _short(block: Mapping[str, Any]) -> str:
    return str(block.get("name") or "").removeprefix(OF_ONE) or str(block.get("host"))


def _emptied(value: Any) -> Any:
    """Every masked secret as "": that keeps what is stored."""
    if isinstance(value, dict):
        return {key: _emptied(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_emptied(entry) for entry in value]
    return "" if isinstance(value, str) and MASK.fullmatch(value) else value


def _secrets(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _secrets(entry, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _secrets(entry, f"{place}[{number}]")
    elif isinstance(value, str) and MASK.fullmatch(value):
        yield place, value


def _is_named(name: str, host: str, wanted: str) -> bool:
    wanted = wanted.strip().lower()
    if not name:
        return host.lower() == wanted
    return name.lower().removeprefix(OF_ONE) == wanted.removeprefix(OF_ONE)
