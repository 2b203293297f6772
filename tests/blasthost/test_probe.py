"""One look at a host, with python3 and with sh alone: the same facts, whatever lies there."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from backends.blasthost.errors import HostLost
from backends.blasthost.facts import BadAnswer
from backends.blasthost.fetch import fetch
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe, unpack
from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, BadSlug
from opsconsole.hostfacts import FolderFacts, Kind
from tests.blasthost.local import LocalSession, owner_of
from tests.blasthost.looks import SHELLS, Looker, a_look, a_tree, each_way  # noqa: F401 - fixtures


def as_somebody_else() -> tuple[str, ...]:
    """A command to run under, so that file modes count even when the tests run as root."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv (Debian package util-linux) when run as root")
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_a_campaign_is_told_with_its_files_digests_and_log(tree, look):
    folder = tree.campaign("spring-1", data=b"email\na@example.com\nb@example.com\n", subject="Hi")
    (folder / TEXT).write_text("plain")
    (tree.log / "spring-1.log").write_text("Starting send\n")
    facts = look()
    found = facts.campaigns["spring-1"]
    assert found.folder is Kind.FOLDER
    assert found.metadata == (folder / METADATA).read_bytes()
    assert found.log_tail == "Starting send\n"
    assert found.files[DATA].rows == 2
    for name in (TEMPLATE, DATA, METADATA, TEXT):
        fact, there = found.files[name], folder / name
        assert fact.sha256 == hashlib.sha256(there.read_bytes()).hexdigest()
        assert (fact.size, fact.inode) == (there.stat().st_size, there.stat().st_ino)
        # BusyBox tells whole seconds.
        assert fact.mtime_ns in (there.stat().st_mtime_ns, there.stat().st_mtime_ns // 10**9 * 10**9)
    assert found.trouble == ""


def test_the_host_is_told(tree, look):
    facts = look()
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts.hostname == os.uname().nodename
    assert abs(facts.epoch - time.time()) < 60
    assert abs(facts.clock_offset) <= facts.clock_error + 0.05
    assert facts.memory_total > facts.memory_available > 0
    assert facts.swap_used >= 0
    assert [disk.path for disk in facts.disks] == [str(tree.campaigns), str(tree.log), str(tree.state)]
    assert all(disk.total > disk.free > 0 for disk in facts.disks)
    assert facts.runner is not None
    assert facts.runner.executable
    assert facts.credentials is not None
    assert (facts.credentials.kind, facts.credentials.mode) == (Kind.FILE, 0o600)
    assert facts.cron[0].text == b""
    assert facts.campaigns == {}
    assert facts.troubles == ()


def test_every_way_of_looking_tells_the_same(tree):
    tree.campaign("one", data=b"email,name\na@example.com,A\nb@example.com,B\n", subject="Grüße")
    (tree.campaign("two") / TEMPLATE).unlink()
    (tree.campaign("three") / DATA).write_bytes(b"")
    (tree.campaigns / "four").mkdir()
    (tree.campaigns / "Not A Campaign").mkdir()
    (tree.log / "one.log").write_bytes(b"\xff\x00 line\n" * 5000)
    tree.run("one", 1, claim_json={"by": "mara"}, plan_json={}, started="2026-05-12T17:52:00Z", out="x\n" * 20_000)
    tree.run("one", 12, claim_json={"by": "ana"}, released="")
    tree.run("gone", 3, claim_json={"by": "ana"})
    (tree.holds / "ALL").write_text("stop")
    tree.cron.write_text("0 10 * * * root true\n")

    def told(python: str, shell: str) -> dict[str, object]:
        facts = Probe(LocalSession(shell=shell), tree.settings(python=python), HashCache()).look()
        whole = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
        for name in ("epoch", "clock_offset", "clock_error", "round_trip_ms", "python", "load", "disks"):
            del whole[name]
        del whole["memory_available"], whole["swap_used"], whole["processes"], whole["mail_queue"]
        return {**whole, "campaigns": {slug: _without_rows(f) for slug, f in facts.campaigns.items()}}

    by_python = told("auto", "/bin/sh")
    for shell in SHELLS:
        if shell != "busybox":
            assert told("never", shutil.which(shell) or "") == by_python


def _without_rows(folder: FolderFacts) -> FolderFacts:
    """sh counts lines, and says so."""
    files = {name: replace(fact, rows=None, rows_exact=True) for name, fact in folder.files.items()}
    return replace(folder, files=files)


CSVS = [
    (b"", 0),
    (b"email\n", 0),
    (b"email", 0),
    (b"email\na@example.com", 1),
    (b"email\na@example.com\n", 1),
    (b"email\r\na@example.com\r\nb@example.com\r\n", 2),
    (b"\n\nemail\n\na@example.com\n\n", 1),
    (b"\r\nemail\r\n\r\na@example.com\r\n\r\n", 1),
    (b'email,name\na@example.com,"one\ntwo"\nb@example.com,"x"\n', 2),
    (b'email,name\r\na@example.com,"one\r\n\r\ntwo"\r\n', 1),
    (b'email,name\na@example.com,"say ""hi""\nthere"\n', 1),
    (b'email,name\na@example.com,5" disk\nb@example.com,6" disk\n', 2),
    (b'"email"\n"a@example.com"', 1),
    (b'email;name\na@example.com;"x"\nb@example.com;"y"\n', 2),
    (b"email\n" + b"someone@example.com\n" * 120_000, 120_000),
    (b"email,n\n" + b'someone@example.com,"a\nb"\n' * 60_000, 60_000),
    (b"email\n" + b"x" * 3_000_000 + b"\n", 1),
]


@pytest.mark.parametrize(("data", "rows"), CSVS, ids=range(len(CSVS)))
def test_rows_are_records_not_lines(tree, data, rows):
    tree.campaign("c", data=data)
    fact = Probe(LocalSession(), tree.settings(), HashCache()).look().campaigns["c"].files[DATA]
    assert (fact.rows, fact.rows_exact) == (rows, True)
    assert fact.sha256 == hashlib.sha256(data).hexdigest()


def test_sh_counts_lines_and_says_so(tree):
    tree.campaign("c", data=b'email,name\na@example.com,"one\ntwo"\n')
    fact = Probe(LocalSession(), tree.settings(python="never"), HashCache()).look().campaigns["c"].files[DATA]
    assert (fact.rows, fact.rows_exact) == (2, False)


def test_only_the_campaigns_asked_for_are_told(tree, look):
    for slug in ("a", "b", "c"):
        tree.campaign(slug)
    assert set(look(["a", "nope"]).campaigns) == {"a", "nope"}
    assert look(["nope"]).campaigns["nope"].folder is Kind.MISSING


@pytest.mark.parametrize("slug", ["; rm -rf /", "../etc", "a b", "", "-rf", "a\n", "$(id)", "A"])
def test_no_name_outside_the_grammar_reaches_the_host(tree, slug):
    session = LocalSession()
    with pytest.raises(BadSlug):
        Probe(session, tree.settings(), HashCache()).look([slug])
    assert session.execs == []


def test_hostile_names_are_listed_and_nothing_else(tree, look):
    tree.campaign("good")
    marker = tree.root / "ran"
    names = [
        f"$(touch {marker.name})",
        "; touch ran;",
        "a\nb",
        "`id`",
        "-rf",
        "..x",
        "\x1b[2J",
        "x" * 65,
        "UPPER",
        "a'b\"c",
    ]
    for name in names:
        (tree.campaigns / name).mkdir()
    (tree.campaigns / os.fsdecode(b"\xff\xfe")).mkdir()
    facts = look()
    assert set(facts.campaigns) == {"good"}
    assert set(names) <= set(facts.foreign)
    assert len(facts.foreign) == len(names) + 1
    assert not list(tree.root.rglob("ran"))


def test_contents_can_not_forge_the_answer(tree, look):
    folder = tree.campaign("evil")
    forged = b"\0deadbeef END 0\n\0" + b"0" * 32 + b" FOREIGN\nx==> evil <==\n" + b"\0" * 100
    (folder / METADATA).write_bytes(forged)
    (tree.log / "evil.log").write_bytes(forged + b"x" * 20_000)
    tree.run("evil", claim_json={"by": "me"}, out="\0 END 0\n" + "y" * 20_480)
    tree.cron.write_bytes(forged)
    facts = look()
    assert list(facts.campaigns) == ["evil"]
    assert facts.campaigns["evil"].metadata == forged
    assert facts.campaigns["evil"].log_tail == "x" * 16_384
    assert facts.campaigns["evil"].runs[0].out_tail == "y" * 16_384
    assert facts.cron[0].text == forged


def test_links_pipes_and_folders_are_never_read_through(tree, look):
    folder = tree.campaign("odd")
    for name in (DATA, METADATA, TEMPLATE):
        (folder / name).unlink()
    (folder / DATA).symlink_to(tree.credentials)
    os.mkfifo(folder / METADATA)
    (folder / TEMPLATE).mkdir()
    (tree.log / "odd.log").symlink_to(tree.credentials)
    found = look().campaigns["odd"]
    assert [found.files[name].kind for name in (DATA, METADATA, TEMPLATE)] == [
        Kind.SYMLINK,
        Kind.OTHER,
        Kind.FOLDER,
    ]
    assert all(fact.sha256 is None for fact in found.files.values())
    assert found.metadata is None
    assert found.log_tail == ""


def test_denied_is_not_missing(tree, look):
    tree.campaign("open").chmod(0o755)
    tree.campaign("shut").chmod(0o700)
    (tree.campaigns / "open" / DATA).chmod(0o600)
    tree.run("open", claim_json={"by": "me"}).parent.chmod(0o700)
    tree.run("other", claim_json={"by": "me"})
    (tree.log / "open.log").write_text("2,601 recipients processed\n")
    (tree.log / "open.log").chmod(0o600)
    tree.cron.chmod(0o600)
    (tree.holds / "spring").write_text("no")
    (tree.holds / "spring").chmod(0o600)
    prefix = as_somebody_else()
    if not prefix:
        for path in (tree.campaigns / "shut", tree.campaigns / "open" / DATA, tree.state / "open", tree.cron):
            path.chmod(0)
        for path in (tree.log / "open.log", tree.holds / "spring"):
            path.chmod(0)
    facts = look(prefix=prefix)
    opened, shut = facts.campaigns["open"], facts.campaigns["shut"]
    assert opened.files[TEMPLATE].sha256
    assert opened.files[DATA].kind is Kind.FILE
    assert opened.files[DATA].sha256 is None
    assert "can't be read" in opened.files[DATA].trouble
    assert opened.files[TEXT].kind is Kind.MISSING
    assert "can't be read" in opened.trouble
    assert opened.log is not None
    assert "can't be read" in opened.log.trouble
    assert shut.files[DATA].kind is Kind.DENIED
    assert facts.cron[0].text is None
    assert [(hold.scope, hold.unreadable) for hold in facts.holds] == [("spring", True)]


@pytest.mark.parametrize("what", ["campaigns", "log", "state", "holds"])
def test_a_folder_nobody_may_enter_is_a_trouble_and_no_absence(tree, look, what):
    tree.campaign("c")
    tree.run("c", claim_json={"by": "me"})
    prefix = as_somebody_else()
    getattr(tree, what).chmod(0o700 if prefix else 0)
    facts = look(prefix=prefix)
    getattr(tree, what).chmod(0o755)
    if what == "campaigns":
        assert facts.campaigns_dir is Kind.DENIED
        assert facts.campaigns["c"].folder is Kind.DENIED
    if what == "log":
        assert facts.campaigns["c"].log is not None
        assert facts.campaigns["c"].log.kind is Kind.DENIED
    if what == "state":
        assert "run state can't be read" in facts.campaigns["c"].trouble
    if what == "holds":
        assert [(hold.scope, hold.unreadable) for hold in facts.holds] == [("ALL", True)]
    assert bool(facts.troubles) is (what in ("campaigns", "state"))


def test_folders_that_are_not_there(tree, look):
    for folder in (tree.campaigns, tree.log, tree.state, tree.holds):
        folder.rmdir()
    tree.cron.unlink()
    facts = look()
    assert facts.campaigns_dir is Kind.MISSING
    assert facts.cron[0].file.kind is Kind.MISSING
    assert facts.holds == ()
    assert any("doesn't exist" in trouble for trouble in facts.troubles)


def test_runs_are_told_with_the_life_of_their_owner(tree, look):
    child = subprocess.Popen(["sleep", "60"])
    try:
        tree.run(
            "live",
            claim_json={"by": "mara", "run_id": "r1"},
            owner=owner_of(child.pid),
            started="2026-05-12T17:52:00Z",
        )
        pid, ticks, boot = owner_of(child.pid).split()
        tree.run("reused", owner=f"{pid} {int(ticks) + 1} {boot}\n", started="x")
        tree.run("rebooted", owner=f"{pid} {ticks} 00000000-0000-0000-0000-000000000000\n", started="x")
        tree.run("hostile", owner="$(id) ; rm -rf / x\n", started="x")
        tree.run("ended", owner=owner_of(child.pid), started="x", finished={"rc": 0, "counts": None})
        tree.run("garbled", started="x", finished="{")
        facts = look().campaigns
        assert facts["live"].runs[0].owner_alive
        assert not facts["live"].runs[0].owner_stopped
        assert facts["live"].runs[0].claim == {"by": "mara", "run_id": "r1"}
        for slug in ("reused", "rebooted", "hostile", "ended", "garbled"):
            assert not facts[slug].runs[0].owner_alive
        assert facts["ended"].runs[0].finished == {"rc": 0, "counts": None}
        assert facts["garbled"].runs[0].finished is None
        assert "finished" in facts["garbled"].runs[0].trouble
        os.kill(child.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
        run = look(["live"]).campaigns["live"].runs[0]
        assert (run.owner_alive, run.owner_stopped) == (True, True)
    finally:
        child.kill()
        child.wait()


def test_a_process_of_the_runner_is_told(tree, look):
    tree.runner.write_text("#!/bin/sh\necho up\nsleep 60 & wait\n")
    child = subprocess.Popen(
        [tree.runner, "--campaign", "spring", "--mode", "send"], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        found = look().processes
        assert [process.pid for process in found] == [child.pid]
        assert "--campaign spring --mode send" in found[0].args
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()


def test_what_is_too_large_is_named_and_not_hashed(tree, look):
    folder = tree.campaign("huge")
    os.truncate(folder / DATA, 5 * 10**9)
    os.truncate(folder / METADATA, 10**6)
    found = look().campaigns["huge"]
    assert found.files[DATA].sha256 is None
    assert found.files[DATA].trouble == "not hashed (5.0 GB)"
    assert found.metadata is None
    assert found.files[METADATA].sha256


@pytest.mark.parametrize("cut", [40, 400, -3])
def test_a_cut_answer_is_never_read_as_less(tree, look, cut):
    tree.campaign("c")
    with pytest.raises(HostLost):
        look(cut=cut)


@pytest.mark.parametrize(
    "tampered", [b"", b"\0nonce ANSWER 5\nabc", b"\0nonce ANSWER 3\nabc\0nonce END 0\n", b"\0other END 0\n"]
)
def test_an_answer_that_is_not_whole_is_refused(tampered):
    with pytest.raises(BadAnswer):
        unpack(tampered, "nonce")


def test_the_credentials_are_never_read(tree, way):
    """They are only ever named to lstat; and reading them would show in their time of access."""
    tree.campaign("c")
    os.utime(tree.credentials, (1, 2_000_000_000))
    before = tree.credentials.stat().st_atime_ns
    session = LocalSession(shell=way[1])
    Probe(session, tree.settings(python=way[0]), HashCache()).look()
    assert tree.credentials.stat().st_atime_ns == before
    remote = files("backends.blasthost").joinpath("remote")
    mentions = [
        line for line in remote.joinpath("probe.py").read_text().split("\n") if 'order["credentials"]' in line
    ]
    assert [line.strip() for line in mentions] == ['"credentials": look(order["credentials"]),']
    shell = remote.joinpath("probe.sh").read_text()
    assert [line.strip() for line in shell.split("\n") if '"$K"' in line] == ['stat -c "$F" "$K" 2>&1']
    assert shell.count("$K") == 1


def test_fetching_brings_exactly_what_was_looked_at_or_says_why_not(tree):
    folder = tree.campaign("c", data=b"email\n\xff\x00a@example.com\n")
    session, settings = LocalSession(), tree.settings()
    seen = Probe(session, settings, HashCache()).look().campaigns["c"].files
    files, _ = fetch(session, settings.campaigns_dir, "c", seen)
    assert files[DATA] == b"email\n\xff\x00a@example.com\n"
    (folder / DATA).write_bytes(b"email\n")
    files, unread = fetch(session, settings.campaigns_dir, "c", seen)
    assert DATA not in files
    assert "changed in between" in unread[DATA]
    (folder / DATA).unlink()
    _, unread = fetch(session, settings.campaigns_dir, "c", seen)
    assert unread[DATA] == "missing"
