"""Which machine answers at the other end, told by the live connection and held against the configuration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.console import Console


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`calls_itself` is the machine's own name; `against` is a sentence on what doesn't fit, "" when all does."""

    identity: str
    calls_itself: str
    against: str


def whereabouts(console: "Console", carrier: str) -> Whereabouts:
    """Who answers for `carrier` now. Asks nobody: it is what the connection and the last look say."""
    connection, facts = console.connection(carrier), console.host_facts(carrier)
    identity, state = str(connection.get("identity") or ""), str(connection.get("state") or "connected")
    name = facts.hostname if facts else ""
    if carrier not in console.host_names():  # no machine that is connected to: it tells what it is with each look
        return Whereabouts(console.machine(carrier), "", "")
    configured = console.host_settings(carrier).ssh
    return Whereabouts(identity, name, _against(carrier, configured, identity, name, state))


def _against(carrier: str, configured: str, identity: str, name: str, state: str) -> str:
    if not identity or state != "connected":
        return f"No live connection to {carrier} now ({state}): which machine it is can't be told at this moment."
    user, _, place = configured.rpartition("@")
    live_user, _, live_place = identity.rpartition("@")
    if user and user != live_user:
        return f"The configuration says {configured}, but the connection is {identity}: another user."
    host = _host(place)
    port = place.rpartition(":")[2] if place.rpartition(":")[2].isdigit() else ""
    if port and live_place.rpartition(":")[2].isdigit() and port != live_place.rpartition(":")[2]:
        return f"The configuration says {configured}, but the connection is {identity}: another port."
    names = {_label(host), _label(carrier)}
    if name and not _is_address(host) and not any(_alike(_label(name), known) for known in names):
        return (
            f"The configuration says {configured}, but the machine that answers calls itself {name} ({identity})."
        )
    return ""


def _host(place: str) -> str:
    host, colon, port = place.rpartition(":")
    return (host if colon and port.isdigit() else place).strip("[]").casefold()


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _label(name: str) -> str:
    return name.casefold().partition(".")[0]


def _alike(name: str, known: str) -> bool:
    """One name is the other, or is made of it: `blast-1` and `blast-1-prod`."""
    return bool(name and known) and (name in known or known in name)
