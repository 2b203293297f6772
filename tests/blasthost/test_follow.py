"""Following a log through whatever happens to the line: the local copy is the host's file, byte for byte."""

import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from backends.blasthost.follow import CHUNK, follow
from backends.blasthost.session import HostSession
from opsconsole.observation import Says
from opsconsole.ports import Followed, Trouble
from tests.support.blasthost import SLUG, BlastTree, launcher, session_to, until
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd, descendants

pytestmark = pytest.mark.needs("sshd")


class Copy:
    """What an operator's console has of a log; `at` is called as it grows."""

    def __init__(self, at: Callable[[int], None] = lambda size: None) -> None:
        self.data = b""
        self.largest = 0
        self.stop = threading.Event()
        self._at = at

    def take(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        self.data += data
        self._at(len(self.data))

    def follow(self, session: HostSession, tree: BlastTree, slug: str = SLUG, offset: int = 0) -> Followed:
        launch = launcher(session, tree)
        return follow(
            session, launch.state_dir, slug, 1, offset, self.take, self.stop, lambda: launch.run_state(slug, 1)
        )


def test_a_log_is_followed_to_its_end_with_the_run_s_last_state(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    launcher(session, tree).start(tree.plan(), by="mara")
    copy = Copy()

    followed = copy.follow(session, tree)

    out = (tree.run_folder() / "out").read_bytes()
    assert copy.data == out
    assert followed.offset == len(out)
    assert followed.end is not None
    assert (followed.end.says, followed.end.word.rc) == (Says.ENDED, 0)


def test_lines_come_while_the_run_goes(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=2000)
    launcher(session, tree).start(tree.plan(), by="mara")
    copy = Copy(lambda size: copy.stop.set() if size > 300 else None)

    followed = copy.follow(session, tree)

    assert followed.end is None
    assert followed.offset == len(copy.data) > 300
    state = launcher(session, tree).run_state(SLUG)
    assert state is not None
    assert state.says is Says.RUNNING


@pytest.mark.slow
def test_connections_cut_at_random_bytes_lose_and_double_nothing(sshd: Sshd, proxy: Proxy, tree: BlastTree) -> None:
    """The line is cut here, and the server's own processes die there, each at bytes nobody chose."""
    tree.campaign(recipients=600)
    tree.pace(every=1, nap=0.004)
    chosen = random.Random(20120512)
    cuts = sorted(chosen.sample(range(200, 13_000), 5))

    def cut(size: int) -> None:
        while cuts and size >= cuts[0]:
            cuts.pop(0)
            if len(cuts) % 2:
                proxy.cut()
            else:
                for child in descendants(sshd.pid):
                    with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended by itself
                        if b"sshd" in Path(f"/proc/{child}/cmdline").read_bytes():
                            os.kill(child, signal.SIGKILL)

    copy = Copy(cut)
    with session_to(sshd, host=proxy.host, port=proxy.port) as session:
        launcher(session, tree).start(tree.plan(), by="mara")
        followed = copy.follow(session, tree)

    assert not cuts
    assert copy.data == (tree.run_folder() / "out").read_bytes()
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    assert len(tree.mailed()) == 600


@pytest.mark.slow
def test_a_line_that_goes_dead_without_a_word_is_noticed_and_taken_up_again(
    sshd: Sshd, proxy: Proxy, tree: BlastTree
) -> None:
    tree.campaign(recipients=400)
    tree.pace(every=1, nap=0.01)

    def go_dead(size: int) -> None:
        if size > 1000 and not proxy.black_hole and not mended.is_set():
            proxy.black_hole = True
            threading.Timer(4.8, mend).start()

    def mend() -> None:
        mended.set()
        proxy.black_hole = False

    mended = threading.Event()
    copy = Copy(go_dead)
    with session_to(sshd, host=proxy.host, port=proxy.port) as session:
        launcher(session, tree).start(tree.plan(), by="mara")
        followed = copy.follow(session, tree)

    assert mended.is_set()
    assert copy.data == (tree.run_folder() / "out").read_bytes()
    assert followed.end is not None
    assert followed.end.word.rc == 0


@pytest.mark.slow
def test_a_follower_that_comes_back_later_takes_up_at_its_byte(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    launcher(session, tree).start(tree.plan(), by="mara")
    Copy().follow(session, tree)
    out = (tree.run_folder() / "out").read_bytes()

    for offset in (0, 1, 57, len(out) - 1, len(out)):
        copy = Copy()
        assert copy.follow(session, tree, offset=offset).offset == len(out)
        assert copy.data == out[offset:]
    with pytest.raises(Trouble, match="shorter than the"):
        Copy().follow(session, tree, offset=len(out) + 1)


@pytest.mark.slow
def test_two_runs_are_followed_each_for_itself(session: HostSession, tree: BlastTree) -> None:
    tree.pace(every=1, nap=0.005)
    copies = {}
    threads = []
    for slug in ("round-1", "round-2"):
        tree.campaign(slug, recipients=150)
        launcher(session, tree).start(tree.plan(slug), by="mara")
        copies[slug] = Copy()
        threads.append(threading.Thread(target=copies[slug].follow, args=(session, tree, slug)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    for slug, copy in copies.items():
        assert copy.data == (tree.run_folder(slug) / "out").read_bytes()
        assert f"Starting {slug}\n".encode() in copy.data
        assert len(tree.mailed(slug)) == 150


def test_a_run_killed_whole_ends_the_following_in_doubt(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=2000)
    launcher(session, tree).start(tree.plan(), by="mara")
    copy = Copy(lambda size: tree.end_runs() if size > 200 else None)

    followed = copy.follow(session, tree)

    assert followed.end is not None
    assert followed.end.says is Says.STARTED
    assert copy.data == (tree.run_folder() / "out").read_bytes()


def test_any_bytes_come_through_in_bounded_pieces(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=1)
    launcher(session, tree).start(tree.plan(), by="mara")
    until(lambda: (tree.run_folder() / "finished").exists())
    everything = bytes(range(256)) * 8192 + b"no end of line"
    (tree.run_folder() / "out").write_bytes(everything)

    copy = Copy()
    copy.follow(session, tree)

    assert copy.data == everything
    assert copy.largest <= CHUNK


@pytest.mark.slow
def test_a_host_whose_tail_knows_no_pid_is_followed_too(
    session: HostSession, sshd: Sshd, tree: BlastTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    import backends.blasthost.follow as module

    real = module.script
    monkeypatch.setattr(module, "script", lambda name: real(name).replace("grep -q -e --pid", "false"))
    tree.campaign(recipients=60)
    launcher(session, tree).start(tree.plan(), by="mara")
    copy = Copy()

    followed = copy.follow(session, tree)

    assert copy.data == (tree.run_folder() / "out").read_bytes()
    assert followed.end is not None
    assert followed.end.says is Says.ENDED


def test_there_is_nothing_to_follow_where_nothing_runs(session: HostSession, tree: BlastTree) -> None:
    with pytest.raises(Trouble, match="no log that can be read"):
        Copy().follow(session, tree)


def test_a_follower_leaves_no_process_behind(session: HostSession, sshd: Sshd, tree: BlastTree) -> None:
    tree.campaign(recipients=2000)
    launcher(session, tree).start(tree.plan(), by="mara")
    copy = Copy(lambda size: copy.stop.set() if size > 300 else None)
    copy.follow(session, tree)

    until(lambda: not followers(tree))


def followers(tree: BlastTree) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"tail") and str(tree.run_folder() / "out").encode() in words:
            found.append(int(path.parent.name))
    return found
