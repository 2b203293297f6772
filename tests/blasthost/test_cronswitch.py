"""A line of a cron table switched off and on: that very line, every other byte kept, never half a file."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost.cronswitch import Key, digest, switch
from backends.blasthost.errors import HostLost
from backends.blasthost.scripts import script
from opsconsole.cron import read_cron, unmarked
from opsconsole.ports import OutOfReach, Refused, Switched, Trouble
from tests.blasthost.shells import LocalShell, stub, what_the_shell_reads
from tests.support.blasthost import BlastTree

NOW = datetime(2026, 7, 4, 15, 30, tzinfo=UTC)
JOB = b"0 15 4 7 *\troot  mail-blast-runner --campaign harbor-lights-jul --mode send >> /tmp/\xff.log 2>&1"
OTHER = b"30 9 5 7 * root mail-blast-runner --campaign pirate-night --mode send"
TABLE = b"# by hand\nSHELL=/bin/sh\n\n" + OTHER + b"\n" + JOB + b"\n" + b"# the end\n"
ME = Path("/proc/self").owner()


def table_of(tree: BlastTree, text: bytes = TABLE) -> Path:
    path = tree.root / "cron"
    path.write_bytes(text)
    path.chmod(0o644)
    return path


def key(path: Path, number: int = 5) -> str:
    text = path.read_bytes()
    line = unmarked(text.split(b"\n")[number - 1])
    return str(Key("blast", str(path), number, digest(line), digest(text)))


def switched(session: Any, tree: BlastTree, on: bool, handle: str, by: str = "mara") -> Switched:
    settings = tree.settings_with(cron_owner=ME)
    return switch(session, settings, "blast", handle, on, by, NOW)


def beside(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()} - {"campaigns", "log", "lib", "bin"}


def test_a_line_is_switched_off_with_who_and_when_and_on_again_to_the_same_bytes(
    tree: BlastTree, shell: list[str]
) -> None:
    session, path = LocalShell(shell), table_of(tree)
    path.chmod(0o640)

    off = switched(session, tree, False, key(path))

    assert path.read_bytes() == TABLE.replace(JOB, b"#opsconsole-disabled by=mara at=2026-07-04T15:30:00Z# " + JOB)
    assert (off.where, off.before, off.after) == (
        f"{path}:5",
        JOB.decode(errors="replace"),
        f"#opsconsole-disabled by=mara at=2026-07-04T15:30:00Z# {JOB.decode(errors='replace')}",
    )
    assert "was read again" in off.proof
    assert path.stat().st_mode & 0o7777 == 0o640
    told = read_cron("cron", path.read_bytes())
    assert [line.number for line in told.lines] == [4]
    assert [line.off for line in told.disabled] == ["by=mara at=2026-07-04T15:30:00Z"]

    on = switched(session, tree, True, key(path))

    assert path.read_bytes() == TABLE
    assert on.after == off.before
    kept = sorted((tree.root / "lib" / "cron-backups").glob("cron.*"))
    assert str(kept[0]) in off.undo + on.undo
    assert TABLE in [copy.read_bytes() for copy in kept]
    assert beside(path) == {"cron"}


def test_the_same_again_changes_nothing(tree: BlastTree, shell: list[str]) -> None:
    session, path = LocalShell(shell), table_of(tree)
    handle = key(path)
    switched(session, tree, False, handle)
    after = path.stat()

    again = switched(session, tree, False, handle, by="ben")

    assert "so already" in again.proof
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert b"by=mara" in path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2], ids=["first line", "last line"])
def test_the_first_and_the_last_line_too(tree: BlastTree, shell: list[str], number: int) -> None:
    session, path = LocalShell(shell), table_of(tree, OTHER + b"\n" + JOB + b"\n")
    text = path.read_bytes()
    switched(session, tree, False, key(path, number))
    assert path.read_bytes().split(b"\n")[number - 1].startswith(b"#opsconsole-disabled by=mara")
    assert path.read_bytes().endswith(b"\n")
    switched(session, tree, True, key(path, number))
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace(OTHER, OTHER.replace(b"30 9", b"31 9")),
        b"# one more\n" + TABLE,
        TABLE.replace(JOB, JOB.replace(b"0 15", b"0 16")),
        b"",
    ],
    ids=["another line", "moved", "this line", "empty"],
)
def test_a_table_that_changed_since_it_was_looked_at_is_left_alone(tree: BlastTree, text: bytes) -> None:
    path = table_of(tree)
    handle = key(path)
    path.write_bytes(text)
    with pytest.raises(Refused, match="changed since it was looked at"):
        switched(LocalShell(["sh"]), tree, False, handle)
    assert path.read_bytes() == text


def test_a_change_in_the_very_moment_is_seen_by_the_host(tree: BlastTree, shell: list[str]) -> None:
    path = table_of(tree)

    class Meanwhile(LocalShell):
        def run(self, text: Any, *args: str, **more: Any) -> Any:
            if args[0] == "swap":
                path.write_bytes(TABLE + b"# an editor was here\n")
            return super().run(text, *args, **more)

    with pytest.raises(Refused, match="changed since it was looked at"):
        switched(Meanwhile(shell), tree, False, key(path))
    assert path.read_bytes() == TABLE + b"# an editor was here\n"
    assert beside(path) == {"cron"}


@pytest.mark.slow
def test_what_is_no_plain_file_of_its_own_is_refused_with_what_it_is(tree: BlastTree, shell: list[str]) -> None:
    session, path = LocalShell(shell), table_of(tree)
    handle = key(path)
    elsewhere = tree.root / "elsewhere"
    path.rename(elsewhere)
    with pytest.raises(Refused, match="is not there any more"):
        switched(session, tree, False, handle)
    path.symlink_to(elsewhere)
    with pytest.raises(Refused, match=f"symbolic link to {elsewhere}"):
        switched(session, tree, False, handle)
    path.unlink()
    os.link(elsewhere, path)
    with pytest.raises(Refused, match="has 2 names"):
        switched(session, tree, False, handle)
    path.unlink()
    path.mkdir()
    with pytest.raises(Refused, match="no plain file"):
        switched(session, tree, False, handle)
    assert elsewhere.read_bytes() == TABLE


def test_a_file_that_cron_ignores_as_a_whole_is_not_touched(tree: BlastTree) -> None:
    path = table_of(tree)
    path.chmod(0o666)
    with pytest.raises(Refused, match=r"Cron ignores all of .*cron skips such a file"):
        switched(LocalShell(["sh"]), tree, False, key(path))
    path = table_of(tree, TABLE.replace(b"# the end\n", b"61 * * * * root true\n"))
    with pytest.raises(Refused, match="bad minute '61'"):
        switched(LocalShell(["sh"]), tree, False, key(path))


def test_two_jobs_on_what_cron_counts_as_one_line_are_left_to_a_person(tree: BlastTree) -> None:
    path = table_of(tree, JOB + b"\0" + OTHER + b"\n")
    with pytest.raises(Refused, match="more to cron than one job"):
        switched(LocalShell(["sh"]), tree, False, key(path, 1))
    assert path.read_bytes() == JOB + b"\0" + OTHER + b"\n"


@pytest.mark.slow
def test_a_users_own_table_too_whose_lines_name_no_user(tree: BlastTree, shell: list[str]) -> None:
    path = tree.root / "spool" / "cron" / "crontabs" / ME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"@daily true\n0 15 4 7 * mail-blast-runner --campaign x --mode send\n")
    path.chmod(0o600)
    settings = tree.settings_with(cron_files=[str(path)])
    switch(LocalShell(shell), settings, "blast", key(path, 2), False, "mara", NOW)
    told = read_cron(str(path), path.read_bytes(), mode=0o600, has_user_column=False)
    assert (told.ignored_because, len(told.lines), len(told.disabled)) == ("", 1, 1)
    assert path.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    "handle", ["", "x", "a:b:1:blast:/etc/shadow", "a:b:1:other:{path}", "a:b:-1:blast:{path}"]
)
def test_what_is_no_key_of_this_host_names_nothing(tree: BlastTree, handle: str) -> None:
    path = table_of(tree)
    with pytest.raises(Refused, match="Nothing was changed"):
        switched(LocalShell(["sh"]), tree, False, handle.format(path=path))


@pytest.mark.slow
def test_without_the_right_to_write_there_the_command_for_an_admin_is_told_and_does_the_same(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    """Root may write everywhere, so the answer of the host is what is played here."""
    path = table_of(tree)
    session = LocalShell(shell)

    class Locked(LocalShell):
        def run(self, text: Any, *args: str, **more: Any) -> Any:
            done = super().run(text, *args, **more)
            return replace(done, stdout=done.stdout.replace(b"TABLE yes", b"TABLE no"))

    for on in (False, True):
        with pytest.raises(Refused, match="may not write") as refused:
            switched(Locked(shell), tree, on, key(path))
        command = str(refused.value).rpartition("sudo ")[2].removesuffix(".")
        subprocess.run(command, shell=True, check=True)
        assert (path.read_bytes() == TABLE) is on
        assert "so already" in switched(session, tree, on, key(path)).proof


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "body", "match"),
    [
        ("sha256sum", 'out=$(command -p sha256sum); case $0$PWD in *) echo "$out" ;; esac', ""),
        ("cp", "exit 1", "could not be written beside"),
        ("tail", 'command -p tail "$@" | command -p head -c 20', "could not be written beside"),
        ("mv", 'case $* in *opsconsole-new*) exit 1 ;; esac; command -p mv "$@"', "would not put the new table"),
        ("mkdir", "exit 1", "No copy of"),
        ("cp", 'shift; command -p cp "$@"; command -p chmod 600 "$2"', "would not have the owner and mode"),
    ],
    ids=["well", "no room", "short write", "immutable", "no copy", "other mode"],
)
def test_whatever_fails_on_the_way_the_table_is_as_it_was(
    tree: BlastTree, tmp_path: Path, program: str, body: str, match: str
) -> None:
    path = table_of(tree)
    stub(tmp_path / "bin", program, body)
    session = LocalShell(["dash"], tmp_path / "bin")
    if not match:
        assert switched(session, tree, False, key(path)).proof
        return
    with pytest.raises(Refused, match=match) as refused:
        switched(session, tree, False, key(path))
    assert "Nothing was changed" in str(refused.value)
    assert path.read_bytes() == TABLE
    assert beside(path) == {"cron"}


def test_a_lost_answer_is_told_as_one_and_asking_again_settles_it(tree: BlastTree) -> None:
    path = table_of(tree)
    handle = key(path)

    class Cut(LocalShell):
        def run(self, text: Any, *args: str, **more: Any) -> Any:
            done = super().run(text, *args, **more)
            if args[0] == "swap":
                raise HostLost("The connection was lost.", "", "", may_have_run=True)
            return done

    class Away(LocalShell):
        def run(self, text: Any, *args: str, **more: Any) -> Any:
            raise HostLost("The connection was lost.", "", "", may_have_run=False)

    with pytest.raises(OutOfReach, match="Nothing was changed"):
        switched(Away(["sh"]), tree, False, handle)
    with pytest.raises(Trouble, match="never a part of it") as lost:
        switched(Cut(["sh"]), tree, False, handle)
    assert not isinstance(lost.value, Refused | OutOfReach)
    assert "so already" in switched(LocalShell(["sh"]), tree, False, handle).proof


@pytest.mark.slow
def test_cron_can_tell_the_new_table_from_one_written_in_the_same_second(tree: BlastTree, shell: list[str]) -> None:
    """Cron compares whole seconds: a table that came back within one would be missed."""
    path = table_of(tree)
    session = LocalShell(shell)
    seconds = [int(path.stat().st_mtime)]
    for on in (False, True):
        switched(session, tree, on, key(path))
        seconds.append(int(path.stat().st_mtime))
    assert seconds == sorted(set(seconds))


@pytest.mark.slow
def test_killed_at_any_point_it_leaves_the_old_table_or_the_new_one(tree: BlastTree, shell: list[str]) -> None:
    path = table_of(tree, TABLE * 50)
    text = path.read_bytes()
    new = text.replace(JOB, b"#off# " + JOB, 1)
    orders = (str(path), f"{tree.root}/lib/cron-backups", digest(text), digest(new), "5", "0", "#off# ")
    sent = what_the_shell_reads("0" * 32, script("cron"), ("swap", *orders))

    def killed_after(seconds: float | None) -> bytes:
        path.write_bytes(text)
        child = subprocess.Popen(
            [*shell, "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert child.stdin is not None
        child.stdin.write(sent)
        child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return path.read_bytes()

    began = time.monotonic()
    assert killed_after(None) == new
    whole = time.monotonic() - began
    found = [killed_after(whole * point / 20) for point in range(26)]

    assert set(found) <= {text, new}
    assert text in found
    assert killed_after(None) == new, "what a killed one left behind is in nobody's way"
    assert beside(path) == {"cron"}


@pytest.mark.slow
def test_on_a_disk_that_is_full_the_table_stays_whole(tree: BlastTree, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=32", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs root and the right to mount")
    try:
        path = disk / "cron"
        path.write_bytes(TABLE * 50)
        path.chmod(0o644)
        with suppress(OSError):  # until there is no space left
            (disk / "filler").write_bytes(bytes(1 << 20))
        settings = tree.settings_with(cron_owner=ME, cron_files=[str(path)])
        with pytest.raises(Refused, match=r"could not be written beside .*Room there: tmpfs"):
            switch(LocalShell(["dash"]), settings, "blast", key(path), False, "mara", NOW)
        assert path.read_bytes() == TABLE * 50
        assert sorted(entry.name for entry in disk.iterdir()) == ["cron", "filler"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
