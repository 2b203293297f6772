"""Given a host whose answers to a look are spoiled in any way, the board still comes, and says nothing untrue.

An honest answer is recorded once for each way of looking, then given back with some of its bytes changed.
"""

import random
import re
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost import frames, words
from backends.blasthost.answers import Completed
from backends.blasthost.errors import HostError
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from opsconsole.board import assemble
from opsconsole.hostfacts import HostFacts
from opsconsole.policy import Policy
from opsconsole.ports import Trouble
from opsconsole.verdict import SENDABLE
from tests.blasthost.local import LocalSession, Tree, owner_of
from tests.faults.mutations import spoiled
from tests.faults.support import report, seed, size

FRESH = timedelta(seconds=90)


@dataclass
class Recorded:
    """One exec: the nonce that was in its order ("" for none), and the answer to it."""

    nonce: bytes
    done: Completed


@dataclass
class Parrot:
    """A session that answers each order with what is recorded of it, under the nonce of the day, spoiled first."""

    recorded: dict[str | bytes, list[Recorded]] = field(default_factory=dict)
    session: LocalSession | None = None
    spoil: "Spoiler | None" = None
    asked: Counter[str | bytes] = field(default_factory=Counter)

    def run(self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0) -> Completed:
        nonce = next((arg for arg in args if re.fullmatch("[0-9a-f]{32}", arg)), "").encode()
        if self.session is not None:
            return self._keep(script, nonce, self.session.run(script, *args))
        return self._answer(script, nonce)

    def run_python(
        self, source: str | bytes, stdin_json: object = None, *, timeout: float | None = None, max_bytes: int = 0
    ) -> Completed:
        assert isinstance(stdin_json, dict)
        nonce = str(stdin_json["nonce"]).encode()
        if self.session is not None:
            return self._keep(source, nonce, self.session.run_python(source, stdin_json))
        return self._answer(source, nonce)

    def _keep(self, order: str | bytes, nonce: bytes, done: Completed) -> Completed:
        self.recorded.setdefault(order, []).append(Recorded(nonce, done))
        return done

    def _answer(self, order: str | bytes, nonce: bytes) -> Completed:
        known = self.recorded[order]
        kept = known[self.asked[order] % len(known)]
        self.asked[order] += 1
        assert self.spoil is not None
        body = self.spoil(kept.done.stdout, kept.nonce)
        body = body.replace(kept.nonce, nonce) if kept.nonce else body
        return Completed(body, b"", 0, 0.01)


class Spoiler:
    """Spoils the text of an answer; a packed document is unpacked first and packed again, so that it is read."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def __call__(self, answer: bytes, nonce: bytes) -> bytes:
        mark = b"\0" + nonce
        _, found, rest = answer.partition(mark + b" ANSWER ") if nonce else (b"", b"", b"")
        if not found:
            return next(spoiled(self._chance, [answer], 1))
        head, _, packed = rest.partition(b"\n")
        document = zlib.decompress(packed[: int(head)])
        again = zlib.compress(next(spoiled(self._chance, [document], 1)))
        return mark + b" ANSWER %d\n" % len(again) + again + mark + b" END 0\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.campaign("waiting", subject="Hi", timezone="Europe/London", due_at="2026-05-12T10:00")
    tree.campaign("sent")
    tree.run(
        "sent", claim_json={"run_id": "ab12", "by": "mara"}, owner=owner_of(1), started="2026-05-12T10:00:00Z\n",
        finished={"rc": 0, "at": "2026-05-12T10:09:00Z", "counts": None}, out="12 recipients processed\n",
    )  # fmt: skip
    tree.campaign("doubtful")
    tree.run("doubtful", claim_json={"run_id": "cd34"}, owner="1 1 x\n", started="2026-05-12T10:00:00Z\n")
    tree.cron.write_text("0 10 12 5 * root /usr/local/bin/mail-blast-runner --campaign waiting --mode send\n")
    (tree.log / "sent.log").write_text("Starting\n12 recipients processed\n")
    tree.age()
    return tree


def _judged(facts: HostFacts, tree: Tree) -> None:
    now = datetime.now(UTC)
    told = words.report(facts, tree.settings(), source="h", now=now, fresh_for=FRESH, policy=Policy())
    board = assemble({"h": told}, Policy(), now, ())
    for verdict in board.verdicts:
        assert verdict.why
        assert verdict.status not in SENDABLE or verdict.approval, "nothing becomes sendable by noise alone"


@pytest.mark.parametrize("way", ["auto", "never"], ids=["python3", "sh"])
@pytest.mark.timeout(1200)
def test_a_host_that_talks_nonsense_harms_nobody(tree: Tree, way: str) -> None:
    honest = Parrot(session=LocalSession())
    began = time.process_time()
    _judged(Probe(honest, tree.settings(python=way), HashCache()).look(), tree)
    usual = time.process_time() - began
    chance, cases, refused, troubled = random.Random(seed()), size(150, 10_000), 0, 0
    for _ in range(cases):
        parrot = Parrot(recorded=honest.recorded, spoil=Spoiler(chance))
        began = time.process_time()
        try:
            facts = Probe(parrot, tree.settings(python=way), HashCache()).look()
        except (HostError, Trouble):
            refused += 1
            continue
        _judged(facts, tree)
        troubled += any(folder.trouble for folder in facts.campaigns.values())
        assert time.process_time() - began < 300 * usual
    assert refused, "not one answer was spoiled enough to be refused"
    assert troubled or way == "never"
    report(f"hostile host, {way}", cases, refused + troubled, 0)


def test_a_frame_that_never_ends_is_not_kept(tree: Tree) -> None:
    """A host that says END and then goes on without a line break holds at most a few bytes of ours."""
    nonce = "5" * 32
    reader = frames.FrameReader(nonce)
    reader.feed(f"\0{nonce} HELLO\n\0{nonce} END ".encode())
    for _ in range(1000):
        reader.feed(b"9" * 65536)
    assert reader.rc == frames.GARBLED
