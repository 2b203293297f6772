"""Who and what may act on each system: in order, with what is wrong with it, and in words. Pure.

Nothing here holds a secret: of a key there is its fingerprint, of a file its owner, mode and age.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from opsconsole.policy import Policy
from opsconsole.ports import Access

HEADS = {"role": "roles", "key": "keys", "credential": "credentials", "file": "files"}
KINDS = tuple(HEADS)
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAccess:
    """What one system tells; `trouble` says why it couldn't be asked ("" when it could)."""

    name: str
    entries: tuple[Access, ...] = ()
    trouble: str = ""

    @property
    def wrong(self) -> int:
        return sum(bool(entry.trouble) for entry in self.entries)

    @property
    def summary(self) -> str:
        """`21 keys, roles and files, 2 of them wrong`."""
        return f"{len(self.entries)} keys, roles and files, {self.wrong or 'none'} of them wrong"

    def sections(self) -> Iterator[tuple[str, tuple[Access, ...]]]:
        """What is wrong, then the rest by kind: a heading and its entries, none of them empty."""
        wrong = tuple(entry for entry in self.entries if entry.trouble)
        kinds = dict.fromkeys((*KINDS, *(entry.kind for entry in self.entries)))
        rest = {kind: tuple(e for e in self.entries if e.kind == kind and not e.trouble) for kind in kinds}
        well = ((HEADS.get(kind, kind), entries) for kind, entries in rest.items())
        yield from ((head, entries) for head, entries in (("wrong", wrong), *well) if entries)


def judged(entries: Iterable[Access], policy: Policy, now: datetime) -> tuple[Access, ...]:
    """Troubles first, then by kind as they came; a key that is too old by the policy is one of them."""
    found = [_aged(entry, policy, now) for entry in entries]
    return tuple(sorted(found, key=lambda entry: (not entry.trouble, _rank(entry.kind))))


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _aged(entry: Access, policy: Policy, now: datetime) -> Access:
    if entry.trouble or entry.kind != "key" or entry.since is None or now - entry.since <= policy.key_max_age:
        return entry
    limit = say_age(policy.key_max_age)
    return replace(entry, trouble=f"It has been the same for {say_age(now - entry.since)}, over {limit}: renew it.")


def say_age(span: timedelta) -> str:
    """In the unit that fits: `4 years`, `12 days`, `3 h`, `5 min`."""
    years, hours = span / YEAR, span / timedelta(hours=1)
    for number, word in ((years, "year"), (span.days, "day")):
        if number >= 2 or (word == "day" and number >= 1):
            return f"{int(number)} {word}{'' if int(number) == 1 else 's'}"
    return f"{int(hours)} h" if hours >= 1 else f"{max(int(span / timedelta(minutes=1)), 0)} min"


def say_rest(entry: Access, now: datetime) -> str:
    """All that is known of it besides name and trouble, in one line."""
    age = f"unchanged for {say_age(now - entry.since)}" if entry.since else ""
    owner = f"of {entry.owner}" if entry.owner else ""
    place = entry.where if entry.where != entry.name else ""
    return "  ".join(filter(None, (entry.scope, entry.fingerprint, place, entry.mode, owner, age)))
