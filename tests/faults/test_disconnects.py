"""The link breaks: at any byte, for any time, at the worst moment. Nothing is lost, doubled or started again."""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost.errors import HostError, HostLost, HostUnreachable
from backends.blasthost.session import HostSession
from opsconsole.ports import MaybeStarted, OutOfReach, Refused, Started, Trouble
from tests.blasthost.local import LocalSession
from tests.faults.desk import CARRIER, Desk
from tests.faults.support import report, seed, size
from tests.support.blasthost import SLUG, BlastTree, launcher, session_to, until
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.slow]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[BlastTree]:
    made = BlastTree(tmp_path / "host")
    try:
        yield made
    finally:
        made.end_runs()


@pytest.fixture
def far(sshd: Sshd, proxy: Proxy) -> Iterator[HostSession]:
    """A session that leads through the proxy."""
    with session_to(sshd, host=proxy.host, port=proxy.port) as session:
        yield session


@pytest.fixture
def desk(far: HostSession, tree: BlastTree, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "desk", "mara", Noting(far), tree.settings)
    try:
        yield made
    finally:
        made.close()


class Noting:
    """Passes everything on to `session` and remembers the scripts, as a network does that delivers late."""

    def __init__(self, session: HostSession) -> None:
        self._session = session
        self.scripts: list[tuple[str | bytes, tuple[str, ...]]] = []

    def run(self, script: str | bytes, *args: str, **limits: Any) -> Any:
        left = True
        try:
            return self._session.run(script, *args, **limits)
        except HostError as error:
            left = error.may_have_run  # else the line broke before there was a session to write it to
            raise
        finally:
            if left:
                self.scripts.append((script, args))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def sha256(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


def log_of(tree: BlastTree, slug: str) -> bytes:
    return (tree.run_folder(slug) / "out").read_bytes()


def sent_once(tree: BlastTree, slug: str, recipients: int) -> bool:
    return Counter(tree.mailed(slug)) == Counter(f"r{number}@example.com" for number in range(recipients))


TALKER = """#!/bin/sh
# Talks until it is told that it is enough, faster than a slow line can carry it and slower than a test can bear.
number=0
until [ -e "{enough}" ]; do
    number=$((number + 1))
    echo "  $number/99999 $number$number r$number@example.com"
    [ $((number % 40)) != 0 ] || sleep 0.05
done
echo "$number recipients processed"
"""


@pytest.mark.timeout(600)
def test_a_log_cut_at_random_bytes_is_the_host_s_file(
    far: HostSession, proxy: Proxy, tree: BlastTree, desk: Desk
) -> None:
    """Each cut comes behind a byte nobody chose of what the server says, handshakes and all; half are resets."""
    chosen = random.Random(seed())
    cuts = size(8, 50)
    tree.campaign()
    enough = tree.root / "enough"
    tree.runner.write_text(TALKER.format(enough=enough))
    offsets: list[int] = []
    heard = bytearray()

    def cut() -> None:
        offsets.append(len(heard))
        proxy.cut(reset=chosen.random() < 0.5)
        if proxy.cuts < cuts:
            arm()
        else:
            enough.touch()

    def arm() -> None:
        # In turn behind the handshake, so that the log gets on, and where it may still be going on.
        behind = chosen.randrange(1, 6000) if proxy.cuts % 2 else chosen.randrange(8000, 20_000)
        proxy.after("down", behind, cut)

    launcher(far, tree).start(tree.plan(carrier=CARRIER), by="mara")
    arm()
    followed = desk.runs.follow(SLUG, 1, 0, heard.extend, threading.Event(), CARRIER)

    whole = log_of(tree, SLUG)
    wrong = int(sha256(heard) != sha256(whole))
    print(f"cut with so many bytes of the log here: {offsets}")
    report("disconnects: log cut at random bytes", cuts, proxy.cuts, wrong)
    assert not wrong
    assert proxy.cuts == cuts
    assert len(set(offsets)) >= cuts / 2
    assert followed.end is not None
    assert followed.offset == len(whole)


@pytest.mark.parametrize("way", [("down",), ("up", "down")], ids=["one way", "both ways"])
def test_a_line_that_stands_still_and_goes_on_loses_no_byte(
    far: HostSession, proxy: Proxy, tree: BlastTree, desk: Desk, way: tuple[Any, ...]
) -> None:
    stands_for = size(6, 20)
    tree.campaign(recipients=1000)
    tree.pace(every=1, nap=0.004)
    stopped: list[float] = []

    def stand_still() -> None:
        proxy.stopped = set(way)
        threading.Timer(stands_for, go_on).start()
        stopped.append(time.monotonic())

    def go_on() -> None:
        proxy.stopped = set()
        stopped.append(time.monotonic())

    launcher(far, tree).start(tree.plan(audience=1000), by="mara")
    proxy.after("down", 4000, stand_still)
    heard = desk.follow(SLUG)

    until(lambda: len(stopped) == 2, 40)
    whole = log_of(tree, SLUG)
    wrong = int(sha256(heard) != sha256(whole))
    report(f"disconnects: line stands still {' and '.join(way)}", 1, len(stopped) // 2, wrong)
    assert not wrong
    assert sent_once(tree, SLUG, 1000)


def settle_by_looking(desk: Desk, slug: str) -> None:
    """What the console does by itself from time to time, until the line is back."""

    def closed() -> bool:
        desk.runs.reconcile()
        return not desk.store.unresolved()

    desk.session.retry_now()
    until(closed, 60)


def connect(desk: Desk) -> None:
    """Until the line is up again, and stays up."""

    def up() -> bool:
        try:
            return bool(desk.session.ensure())
        except Trouble:
            return False

    until(up)


def start(desk: Desk, plan: Any) -> Started | Trouble:
    try:
        return desk.runs.start(plan)
    except Trouble as error:
        return error


@pytest.mark.timeout(900)
def test_a_reply_that_is_lost_after_the_start_starts_nothing_again(
    proxy: Proxy, tree: BlastTree, desk: Desk
) -> None:
    """The host's answer never arrives: everything it says is kept back from the moment the script has gone."""
    rounds, fired, wrong = size(10, 100), 0, []
    tree.pace(every=10, nap=0.0)
    for number in range(rounds):
        slug = f"{SLUG}-{number}"
        tree.campaign(slug, recipients=20)
        plan = tree.plan(slug, audience=20, carrier=CARRIER)
        connect(desk)
        answers: list[Started | Trouble] = []
        proxy.after("up", 1500, lambda: proxy.stopped.add("down"))  # what follows is the script's, and its answer
        starting = threading.Thread(target=lambda: answers.append(start(desk, plan)))  # noqa: B023
        starting.start()
        until(lambda: (tree.run_folder(slug) / "started").exists(), 20)  # noqa: B023
        fired += not answers
        proxy.cut(reset=number % 2 == 0)
        proxy.stopped.clear()
        starting.join(60)

        answer = answers[0]
        heard = desk.follow(slug)
        settle_by_looking(desk, slug)
        again = start(desk, plan)
        settle_by_looking(desk, slug)
        faults = {
            "a second start": tree.attempts(slug) != ["1"] or not sent_once(tree, slug, 20),
            "not said what is": not isinstance(answer, MaybeStarted) and not getattr(answer, "fresh", False),
            "log differs": heard != log_of(tree, slug),
            "again": not isinstance(again, Started) or again.fresh,
            "intent": desk.outcomes(plan.run_id)[0] != "ended",
        }
        if any(faults.values()):
            wrong.append((slug, [what for what, is_so in faults.items() if is_so], str(answer)))
    report("disconnects: reply lost after success", rounds, fired, len(wrong))
    assert not wrong
    assert fired == rounds
    assert desk.store.verify().ok


@pytest.mark.timeout(900)
def test_an_upload_cut_at_any_byte_starts_once_or_never(proxy: Proxy, tree: BlastTree, desk: Desk) -> None:
    """Started means once. Not started means never: the very script, come late, is refused by the host."""
    chosen = random.Random(seed())
    rounds, fired, wrong = size(12, 100), 0, []
    began = 0
    tree.pace(every=10, nap=0.0)
    late = LocalSession()
    for number in range(rounds):
        slug = f"{SLUG}-{number}"
        tree.campaign(slug, recipients=20)
        plan = tree.plan(slug, audience=20, carrier=CARRIER)
        connect(desk)
        before, told = proxy.cuts, len(desk.session.scripts)
        proxy.after("up", chosen.randrange(1, 9000), lambda: proxy.cut(reset=chosen.random() < 0.5))
        answer = start(desk, plan)
        fired += proxy.cuts > before
        settle_by_looking(desk, slug)
        launches = [call for call in desk.session.scripts[told:] if plan.digest in str(call[0])]
        first = len(tree.attempts(slug))
        for script, args in launches:  # the network delivers it after all
            late.run(script, *args)
        if isinstance(answer, Started):
            began += 1
            ok = answer.fresh and first == 1 and desk.outcomes(plan.run_id) == ["ended"]
        elif isinstance(answer, MaybeStarted):
            ok = first <= 1
        else:
            ok = first == 0 and desk.outcomes(plan.run_id) == ["not-started"]
        until(lambda: not tree.attempts(slug) or (tree.run_folder(slug) / "finished").exists())  # noqa: B023
        left = 0 if isinstance(answer, OutOfReach) else 1  # what never left the console can't come late
        ok = ok and len(tree.attempts(slug)) == first and len(launches) == left
        ok = ok and sent_once(tree, slug, 20 * first)
        if not ok:
            now = len(tree.attempts(slug)), len(launches), len(tree.mailed(slug))
            wrong.append((slug, first, now, type(answer).__name__, str(answer), desk.told(plan.run_id)))
    report("disconnects: upload cut at random bytes", rounds, fired, len(wrong))
    assert not wrong
    assert began < rounds


def test_what_was_refused_for_a_cut_can_be_started_again_once(proxy: Proxy, tree: BlastTree, desk: Desk) -> None:
    tree.campaign(recipients=20)
    plan = tree.plan(audience=20, carrier=CARRIER)
    desk.session.ensure()
    proxy.after("up", 2000, proxy.cut)

    with pytest.raises(Refused, match="can't come late"):
        desk.runs.start(plan)
    started = desk.runs.start(plan)

    assert started.fresh
    desk.follow(SLUG)
    assert sent_once(tree, SLUG, 20)
    assert desk.outcomes(plan.run_id) == ["not-started", "ended"], desk.told(plan.run_id)


def comes_back(session: HostSession) -> bool:
    """A server that still has the cut logins on its hands may turn the next one away for a moment."""
    for _ in range(50):
        session.retry_now()
        with suppress(HostUnreachable):
            return session.run("echo well").stdout == b"well\n"
        time.sleep(0.1)
    return False


@pytest.mark.timeout(600)
def test_a_login_cut_at_any_byte_is_tried_again(sshd: Sshd, proxy: Proxy) -> None:
    """A line that ends in the greeting is a host out of reach: never a refused key, a changed host or a start."""
    chosen = random.Random(seed())
    rounds, wrong = size(24, 300), []
    for _ in range(rounds):
        with session_to(sshd, host=proxy.host, port=proxy.port) as session:
            before = proxy.cuts
            way = chosen.choice(["up", "down"])
            for other in ("up", "down"):  # a trap that was not reached is none for the next login
                far_off = chosen.randrange(1, 3000) if way == other else 2**40
                proxy.after(other, far_off, lambda: proxy.cut(reset=chosen.random() < 0.5))  # type: ignore[arg-type]
            try:
                session.run(":")
            except HostError as error:
                if not isinstance(error, HostUnreachable | HostLost):  # lost: the cut came behind the login
                    wrong.append(repr(error))
            if proxy.cuts > before and not comes_back(session):
                wrong.append("it did not come back")
    report("disconnects: login cut at random bytes", rounds, proxy.cuts, len(wrong))
    assert not wrong
