"""The second look at a host: what was seen before is not read again, and nothing is taken for granted."""

import hashlib
import os
import shutil
import time

import pytest

from backends.blasthost import probe as probe_module
from backends.blasthost.facts import BadAnswer
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from opsconsole.campaign import DATA
from tests.blasthost.local import LocalSession, Tree
from tests.blasthost.looks import a_tree, each_way  # noqa: F401 - fixtures


@pytest.mark.slow
def test_the_second_look_hashes_nothing(tree, way, tmp_path):
    tree.campaign("c")
    tree.campaign("d")
    cache = HashCache(tmp_path / "cache" / "hashes")
    session = LocalSession(shell=way[1])
    probe = Probe(session, tree.settings(python=way[0]), cache)
    wait_until_settled(tree)
    first = probe.look()
    sent = len(session.execs)
    second = probe.look()
    assert second.campaigns == first.campaigns
    assert len(session.execs) - sent == 1
    # A new console knows the digests from its file, even where reading them again would give others.
    again = Probe(
        LocalSession(shell=way[1]), tree.settings(python=way[0]), HashCache(tmp_path / "cache" / "hashes")
    )
    assert again.look().campaigns == first.campaigns
    assert {known.sha256 for known in cache.known("blast-test").values()} == {
        fact.sha256 for folder in first.campaigns.values() for fact in folder.files.values() if fact.there
    }


@pytest.mark.slow
def test_a_changed_file_is_hashed_again(tree, way):
    folder = tree.campaign("c", data=b"email\na@example.com\n")
    probe = Probe(LocalSession(shell=way[1]), tree.settings(python=way[0]), HashCache())
    wait_until_settled(tree)
    before = probe.look().campaigns["c"]
    stat = (folder / DATA).stat()
    (folder / DATA).write_bytes(b"email\nb@example.com\n")
    os.utime(folder / DATA, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as rsync -t does
    after = probe.look().campaigns["c"]
    assert after.files[DATA].mtime_ns == before.files[DATA].mtime_ns
    assert after.files[DATA].sha256 == hashlib.sha256(b"email\nb@example.com\n").hexdigest()


def test_a_file_that_just_changed_is_not_remembered(tree, way):
    tree.campaign("c")
    cache = HashCache()
    facts = Probe(LocalSession(shell=way[1]), tree.settings(python=way[0]), cache).look()
    assert facts.campaigns["c"].files[DATA].sha256
    assert cache.known("blast-test") == {}


def wait_until_settled(tree: Tree) -> None:
    newest = max(path.stat().st_ctime for path in tree.root.rglob("*"))
    while time.time() - newest <= 2.1:
        time.sleep(0.05)


@pytest.mark.slow
def test_of_many_campaigns_only_the_changed_one_is_told_again(tree, way):
    """Enough of them that the host shares the work between two processes."""
    for number in range(120):
        tree.campaign(f"c{number}", data=b"email\n" + b"a@example.com\n" * number)
    probe = Probe(LocalSession(shell=way[1]), tree.settings(python=way[0]), HashCache())
    wait_until_settled(tree)
    first = probe.look().campaigns
    assert [first[f"c{number}"].files[DATA].sha256 for number in range(120)] == [
        hashlib.sha256((tree.campaigns / f"c{number}" / DATA).read_bytes()).hexdigest() for number in range(120)
    ]
    (tree.log / "c7.log").write_text("Starting send\n")
    (tree.campaigns / "c8" / DATA).write_bytes(b"email\nb@example.com\n")
    shutil.rmtree(tree.campaigns / "c9")
    tree.run("c10", claim_json={"by": "mara"})
    second = probe.look().campaigns
    assert set(second) == set(first) - {"c9"}
    assert second["c7"].log_tail == "Starting send\n"
    assert second["c8"].files[DATA].sha256 == hashlib.sha256(b"email\nb@example.com\n").hexdigest()
    assert [run.claim for run in second["c10"].runs] == [{"by": "mara"}]
    told_again = {slug for slug, folder in second.items() if folder is not first[slug]}
    assert told_again == {"c7", "c8", "c10"}


@pytest.mark.slow
def test_a_look_at_a_few_forgets_nothing_of_the_others(tree, way):
    for slug in ("a", "b"):
        tree.campaign(slug)
    probe = Probe(LocalSession(shell=way[1]), tree.settings(python=way[0]), HashCache())
    wait_until_settled(tree)
    first = probe.look().campaigns
    assert probe.look(["b"]).campaigns == {"b": first["b"]}
    again = probe.look().campaigns
    assert all(again[slug] is first[slug] for slug in ("a", "b"))


@pytest.mark.slow
@pytest.mark.parametrize("same", ["", "1", "111", "2x"])
def test_a_host_that_claims_more_sameness_than_it_was_asked_about_is_not_believed(tree, same):
    tree.campaign("c")
    tree.campaign("d")
    probe = Probe(LocalSession(), tree.settings(), HashCache())
    wait_until_settled(tree)
    probe.look()
    with pytest.MonkeyPatch.context() as patch:
        real = probe_module.unpack
        patch.setattr(probe_module, "unpack", lambda *answer: (real(*answer)[0], [probe_module.Part(same, [])]))
        with pytest.raises(BadAnswer):
            probe.look()


def test_when_the_second_process_dies_its_half_is_looked_at_by_the_first(tree):
    for number in range(120):
        tree.campaign(f"c{number}")
    probe = Probe(LocalSession(), tree.settings(), HashCache())
    whole = probe_module._python_source()
    with pytest.MonkeyPatch.context() as patch:
        broken = whole.replace("with os.fdopen(writing,", "os._exit(1)\\n            with os.fdopen(writing,")
        assert broken != whole
        patch.setattr(probe_module, "_python_source", lambda: broken)
        assert set(probe.look().campaigns) == {f"c{number}" for number in range(120)}


def test_the_number_of_execs_does_not_depend_on_the_number_of_campaigns(tree, way):
    for number in range(40):
        tree.campaign(f"c{number}")
    session = LocalSession(shell=way[1])
    assert len(Probe(session, tree.settings(python=way[0]), HashCache()).look().campaigns) == 40
    assert len(session.execs) <= 2


def test_without_python_on_the_host_sh_looks_and_python_is_not_asked_for_again(tree):
    tree.campaign("c")
    session = LocalSession(python="no-such-python3")
    probe = Probe(session, tree.settings(), HashCache())
    assert set(probe.look().campaigns) == {"c"}
    first = len(session.execs)
    assert first <= 3
    probe.look()
    assert len(session.execs) - first <= 2


def test_a_python_that_fails_is_told_and_replaced(tree):
    tree.campaign("c")
    probe = Probe(LocalSession(), tree.settings(), HashCache())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backends.blasthost.probe._python_source", lambda: "raise SystemError('too old')")
        facts = probe.look()
    assert set(facts.campaigns) == {"c"}
    assert any("too old" in trouble for trouble in facts.troubles)
