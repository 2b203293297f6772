"""Copies of the audit head on a blast host: a file that only grows, whatever happens in between."""

import json
import os
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.blasthost.anchors import Anchors
from backends.blasthost.session import HostSession
from opsconsole.audit.anchors import Line, parse, seal
from opsconsole.audit.chain import Anchor, store_id
from opsconsole.ports import OutOfReach, Refused, Trouble
from tests.blasthost.local import LocalSession, Tree
from tests.blasthost.shells import LocalShell
from tests.support.blasthost import BlastTree

KEY = bytes(range(32))
STORE = store_id(KEY)
NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


def line(seq: int, after: int = 0, **others: str) -> str:
    fields = {"store": STORE, "mac": f"{seq:064x}", "environment": "prod", **others}
    return seal(Line(seq=seq, after=after, utc=NOW, **fields), KEY)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def keeper(tree: Tree, shell: str = "/bin/sh", **others: object) -> Anchors:
    return Anchors(LocalSession(shell=shell, **others), tree.settings(), "blast-test")  # type: ignore[arg-type]


def file_of(tree: Tree) -> Path:
    return tree.state.parent / "anchors" / STORE


def test_lines_are_kept_in_order_and_given_back_as_they_were(tree: Tree, shell: list[str]) -> None:
    """In every shell that is somewhere /bin/sh, torn lines and all."""
    host = Anchors(LocalShell(shell), tree.settings(), "blast-test")  # type: ignore[arg-type]
    assert host.anchors(STORE) == ()
    written = [line(seq, seq - 1 if seq > 1 else 0, environment="prod's ü") for seq in range(1, 8)]
    for text in written:
        host.put_anchor(STORE, text)
    assert host.anchors(STORE) == tuple(written)
    assert host.anchors(STORE, 3) == tuple(written[-3:])
    assert file_of(tree).read_text() == "\n".join(written) + "\n"
    with file_of(tree).open("a") as file:
        file.write(written[0][:90])
    host.put_anchor(STORE, line(9, 7))
    with pytest.raises(Refused, match="acknowledged record 10, and its anchors end at 9"):
        host.put_anchor(STORE, line(11, 10))
    with pytest.raises(Refused, match="holds an anchor already"):
        host.put_anchor(STORE, line(8))
    assert host.anchors(STORE, 2) == (written[-1], line(9, 7))
    assert file_of(tree).stat().st_mode & 0o037 == 0, "nobody else writes it"


def test_a_lost_answer_may_be_asked_for_again(tree: Tree) -> None:
    for cut in (10, None, None):
        host = keeper(tree, cut=cut)
        if cut:
            with pytest.raises(OutOfReach):
                host.put_anchor(STORE, line(5))
        else:
            host.put_anchor(STORE, line(5))
    assert host.anchors(STORE) == (line(5),)


def test_an_older_or_another_record_is_never_put_behind_a_newer_one(tree: Tree) -> None:
    host = keeper(tree)
    host.put_anchor(STORE, line(5))
    for late in (line(4), line(5, mac="f" * 64)):
        with pytest.raises(Refused, match="holds an anchor already"):
            host.put_anchor(STORE, late)
    assert host.anchors(STORE) == (line(5),)


def test_a_host_that_lost_its_newest_lines_says_so_before_it_takes_another(tree: Tree) -> None:
    host = keeper(tree)
    host.put_anchor(STORE, line(5))
    snapshot = file_of(tree).read_bytes()
    host.put_anchor(STORE, line(6, 5))
    file_of(tree).write_bytes(snapshot)
    with pytest.raises(
        Refused, match=r"it acknowledged record 6, and its anchors end at 5.*host accept blast-test"
    ):
        host.put_anchor(STORE, line(7, 6))
    assert host.anchors(STORE) == (line(5),)


def test_a_line_cut_short_by_a_full_disk_is_closed_and_passed_over(tree: Tree) -> None:
    host = keeper(tree)
    host.put_anchor(STORE, line(5))
    with file_of(tree).open("a") as file:
        file.write(line(6, 5)[:70])
    host.put_anchor(STORE, line(6, 5))
    assert host.anchors(STORE) == (line(5), line(6, 5))


def test_a_full_disk_is_no_acknowledgement_and_leaves_no_half_line_behind(tree: Tree) -> None:
    full = keeper(tree, prefix=("/bin/sh", "-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"))
    written = [line(1), line(2, 1)]
    for text in written:
        full.put_anchor(STORE, text)
    while file_of(tree).stat().st_size < 1024:
        written.append(line(len(written) + 1, len(written)))
        try:
            full.put_anchor(STORE, written[-1])
        except Trouble:
            break
    assert not file_of(tree).read_text().endswith("\n"), "the disk took a part of the last one"
    with pytest.raises(Trouble, match="can't be read or written"):
        full.put_anchor(STORE, written[-1])
    roomy = keeper(tree)
    roomy.put_anchor(STORE, written[-1])
    assert roomy.anchors(STORE) == tuple(written)


def test_only_a_file_is_written_to(tree: Tree) -> None:
    file_of(tree).parent.mkdir()
    file_of(tree).symlink_to("/dev/full")
    with pytest.raises(Trouble, match="can't be read or written"):
        keeper(tree).put_anchor(STORE, line(1))
    with pytest.raises(Trouble, match="can't be read or written"):
        keeper(tree).anchors(STORE)


def test_what_cannot_be_read_is_never_taken_for_empty(tree: Tree) -> None:
    if os.geteuid() == 0:
        host = keeper(tree, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        for folder in (tree.root, *tree.root.parents):
            if folder.owner() == "root" and folder.parts[-1].startswith("pytest"):
                folder.chmod(0o755)
    else:
        host = keeper(tree)
    place = file_of(tree).parent
    place.mkdir()
    file_of(tree).write_text(line(5) + "\n")
    for path, mode in ((file_of(tree), 0o000), (place, 0o000)):
        path.chmod(mode)
        with pytest.raises(Trouble, match="can't be read or written"):
            host.anchors(STORE)
    place.chmod(0o700)
    file_of(tree).chmod(0o600)


def test_many_consoles_at_once_leave_a_file_in_order(tree: Tree) -> None:
    def put(seq: int) -> None:
        try:
            keeper(tree).put_anchor(STORE, line(seq))
        except Refused:
            refused.append(seq)

    refused: list[int] = []
    threads = [threading.Thread(target=put, args=(seq,)) for seq in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [parse(text, KEY) for text in keeper(tree).anchors(STORE)]
    seqs = [held.seq for held in kept if held]
    assert seqs == sorted(set(seqs))
    assert len(kept) == len(seqs)
    assert sorted([*seqs, *refused]) == list(range(1, 13)), "each is either there or was refused"


def test_a_forged_line_at_the_end_is_not_added_to(tree: Tree) -> None:
    host = keeper(tree)
    host.put_anchor(STORE, line(5))
    with file_of(tree).open("a") as file:
        file.write("whatever\n")
    with pytest.raises(Refused):
        host.put_anchor(STORE, line(6, 5))


@pytest.mark.needs("chattr")
def test_as_root_the_kernel_keeps_the_file_from_all_but_growing(tree: Tree) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can ask the kernel for it")
    host = Anchors(LocalSession(), tree.settings(anchors_append_only=True), "blast-test")
    try:
        host.put_anchor(STORE, line(1))
        flags = subprocess.run(["lsattr", file_of(tree)], capture_output=True, text=True, check=False)
        if "a" not in flags.stdout.split(" ")[0]:
            pytest.skip("this file system has no such attribute")
        with pytest.raises(PermissionError):
            file_of(tree).write_text("")
        host.put_anchor(STORE, line(2, 1))
        assert len(host.anchors(STORE)) == 2
    finally:
        subprocess.run(["chattr", "-a", file_of(tree)], capture_output=True, check=False)


def test_over_a_real_connection(tmp_path: Path, session: HostSession) -> None:
    tree = BlastTree(tmp_path / "host")
    host = Anchors(session, tree.settings, "blast")
    for seq in (3, 9):
        host.put_anchor(STORE, line(seq, 0 if seq == 3 else 3))
    assert host.anchors(STORE) == (line(3), line(9, 3))
    assert [json.loads(text)["seq"] for text in host.anchors(STORE, 1)] == [9]
    with pytest.raises(Refused):
        host.put_anchor(STORE, line(8, 3))


def test_only_what_was_written_with_the_key_is_a_line() -> None:
    good = line(5, 3, machine="a1b2")
    read = parse(good, KEY)
    assert read == Line(store=STORE, seq=5, mac=f"{5:064x}", utc=NOW, environment="prod", after=3, machine="a1b2")
    edited = [
        good.replace('"seq":5', '"seq":4'),
        good.replace('"after":3', '"after":0'),
        good.replace("a1b2", "a1b3"),
        good.replace(',"machine":"a1b2"', ""),
        good.replace("prod", "test"),
        good.replace('"seq":5', '"seq":5.0'),
        good.replace('"seq":5', '"seq": 5'),
        good[:-2] + '","more":1}',
        good + " ",
        "",
        "null",
        "[]",
        "{}",
        '{"seq":1}',
        "[" * 900,
        "x" * 5000,
    ]
    assert [parse(text, KEY) for text in edited] == [None] * len(edited)
    assert parse(good, bytes(32)) is None
    assert Anchor(5, f"{5:064x}") == Anchor(read.seq, read.mac)
