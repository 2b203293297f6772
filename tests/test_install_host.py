"""The runner put on a host and taken back: verified and tried there, and the old one whole whatever fails."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import runner
from backends.blasthost import installing
from backends.blasthost.errors import HostLost
from backends.blasthost.runnerfile import RunnerFile, runner_file
from backends.blasthost.scripts import with_texts
from opsconsole.hostfacts import RunnerFact
from opsconsole.ports import OutOfReach, Refused, Trouble
from tests.blasthost.shells import SHELLS, LocalShell, stub, what_the_shell_reads

NOW = datetime(2026, 7, 4, 15, 30, tzinfo=UTC)
OURS = runner_file()
OLD = b"#!/bin/sh\necho another runner\n"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """The folder of the runner, whose python3 is the one of these tests."""
    folder = tmp_path / "host" / "bin"
    folder.mkdir(parents=True)
    (folder / "mail-blast-runner").write_bytes(OLD)
    (folder / "mail-blast-runner").chmod(0o750)
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Programs before the host's own: python3 is the one of these tests."""
    stub(tmp_path / "tools", "python3", f'exec {sys.executable} "$@"')
    return tmp_path / "tools"


@pytest.fixture
def shell(tools: Path) -> LocalShell:
    return LocalShell(["dash"], tools)


def look(session: Any, folder: Path, *, ask: bool = False) -> RunnerFact:
    return installing.look(session, str(folder / "mail-blast-runner"), OURS, ask=ask)


def put(session: Any, folder: Path, ours: RunnerFile = OURS) -> str:
    return installing.put(session, "blast", look(session, folder), ours, NOW)


def beside(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {"mail-blast-runner"}


def whole(folder: Path) -> bool:
    """The old runner and nothing beside it."""
    return (folder / "mail-blast-runner").read_bytes() == OLD and beside(folder) == set()


def test_it_is_put_there_verified_and_tried_and_taken_back_to_the_same_bytes(shell: LocalShell, bin_: Path) -> None:
    before = look(shell, bin_)
    assert (before.ours, before.there, before.sha256, before.mode) == (False, "file", digest(OLD), 0o750)
    assert not before.says, "what isn't ours is never run"

    copy = put(shell, bin_)

    after = look(shell, bin_, ask=True)
    assert after.same
    assert (after.version, after.says["version"], after.mode) == (runner.__version__, runner.__version__, 0o755)
    assert after.say() == f"version {runner.__version__}, the file this console installs"
    assert Path(copy).read_bytes() == OLD
    assert Path(copy).stat().st_mode & 0o777 == 0o750
    assert [kept.path for kept in after.kept] == [copy]
    assert copy.endswith(f"mail-blast-runner.before-20260704T153000Z-{digest(OLD)[:12]}")

    installing.put_back(shell, "blast", after, after.kept[-1])

    assert whole(bin_)
    assert look(shell, bin_).kept == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SHELLS))
def test_under_each_shell_where_nothing_was_and_with_blanks_in_the_path(
    tools: Path, tmp_path: Path, name: str
) -> None:
    session, folder = LocalShell(SHELLS[name], tools), tmp_path / "a folder"
    folder.mkdir()
    assert put(session, folder) == ""
    again = look(session, folder, ask=True)
    assert again.same
    assert again.says["runner"] == "opsconsole"
    assert beside(folder) == set()


def test_what_arrives_otherwise_than_it_was_sent_is_refused(shell: LocalShell, bin_: Path) -> None:
    spoiled = RunnerFile(OURS.content[:-9] + b"spoilt" + OURS.content[-3:], OURS.sha256, OURS.version)
    with pytest.raises(Refused, match=r"isn't what was sent, by its digest"):
        put(shell, bin_, spoiled)
    assert whole(bin_)


def test_a_file_that_somebody_changed_since_the_look_is_left_alone(shell: LocalShell, bin_: Path) -> None:
    seen = look(shell, bin_)
    (bin_ / "mail-blast-runner").write_bytes(b"an admin was here")
    with pytest.raises(Refused, match="has changed since it was looked at"):
        installing.put(shell, "blast", seen, OURS, NOW)
    assert (bin_ / "mail-blast-runner").read_bytes() == b"an admin was here"
    assert beside(bin_) == set()


def test_without_a_python3_that_is_new_enough_nothing_is_sent_over(tools: Path, bin_: Path) -> None:
    session = LocalShell(["dash"], tools)
    stub(tools, "python3", "echo 3.9.2")
    with pytest.raises(Refused, match=r"python3 on blast is 3\.9\.2, and the runner needs 3\.11"):
        put(session, bin_)
    stub(tools, "python3", "exit 127")
    with pytest.raises(Refused, match="no python3 that works"):
        put(session, bin_)
    assert whole(bin_)


@pytest.mark.slow
def test_where_the_new_file_does_not_run_the_old_one_stays(tools: Path, bin_: Path) -> None:
    stub(
        tools, "python3", f'case "$*" in *capabilities*) echo "no zlib here"; exit 1 ;; esac; {sys.executable} "$@"'
    )
    with pytest.raises(Refused, match=r"doesn't run on blast: no zlib here"):
        put(LocalShell(["dash"], tools), bin_)
    assert whole(bin_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "body", "match"),
    [
        (
            "base64",
            "case $1 in -d) command -p base64 -d | head -c 99; exit 1 ;; esac; command -p base64",
            "could not be written",
        ),
        ("cp", "exit 1", "No copy of"),
        ("mv", "exit 1", "would not put the file in the place"),
        ("sync", "exit 1", "could not be written"),
    ],
    ids=["short write", "no copy", "immutable", "no sync"],
)
def test_whatever_fails_on_the_way_the_old_runner_is_as_it_was(
    tools: Path, bin_: Path, program: str, body: str, match: str
) -> None:
    stub(tools, program, body)
    with pytest.raises(Refused, match=match) as refused:
        put(LocalShell(["dash"], tools), bin_)
    assert "Nothing was changed" in str(refused.value)
    assert (bin_ / "mail-blast-runner").read_bytes() == OLD


@pytest.mark.slow
def test_links_and_folders_are_told_as_what_they_are(shell: LocalShell, bin_: Path) -> None:
    file, elsewhere = bin_ / "mail-blast-runner", bin_ / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(Refused, match=rf"symbolic link to {elsewhere}.*--to {elsewhere}"):
        put(shell, bin_)
    file.unlink()
    file.mkdir()
    with pytest.raises(Refused, match="no plain file"):
        put(shell, bin_)
    with pytest.raises(Refused, match=r"may not write in .*, or it isn't there.*sudo install -m 755"):
        put(shell, bin_ / "nowhere")
    assert elsewhere.read_bytes() == OLD


@pytest.mark.slow
def test_while_a_process_sends_with_it_neither_install_nor_undo(shell: LocalShell, bin_: Path) -> None:
    put(shell, bin_)
    file = bin_ / "mail-blast-runner"
    at_work = subprocess.Popen(["/bin/sh", "-c", "sleep 60", str(file), "--campaign", "may"])
    try:
        seen = look(shell, bin_)
        with pytest.raises(Refused, match=f"Process {at_work.pid} on blast is sending with that runner"):
            installing.put(shell, "blast", seen, OURS, NOW)
        with pytest.raises(Refused, match=f"Process {at_work.pid} on blast"):
            installing.put_back(shell, "blast", seen, seen.kept[-1])
    finally:
        at_work.kill()
        at_work.wait()
    assert file.read_bytes() == OURS.content


@pytest.mark.slow
def test_a_copy_that_was_spoilt_is_not_put_back(shell: LocalShell, bin_: Path) -> None:
    copy = Path(put(shell, bin_))
    copy.write_bytes(OLD + b"# rotten\n")
    seen = look(shell, bin_)
    with pytest.raises(Refused, match="isn't what was kept there"):
        installing.put_back(shell, "blast", seen, seen.kept[-1])
    assert (bin_ / "mail-blast-runner").read_bytes() == OURS.content


def test_a_lost_answer_is_told_as_one(tools: Path, bin_: Path) -> None:
    class Cut(LocalShell):
        ran = True

        def run(self, text: Any, *args: str, **more: Any) -> Any:
            done = super().run(text, *args, **more) if args[0] == "look" or self.ran else None
            if args[0] != "look":
                raise HostLost("The connection was lost.", "", "", may_have_run=self.ran)
            return done

    session = Cut(["dash"], tools)
    with pytest.raises(Trouble, match="never a part of it") as lost:
        put(session, bin_)
    assert not isinstance(lost.value, Refused | OutOfReach)
    assert look(session, bin_).same
    session.ran = False
    with pytest.raises(OutOfReach, match="Nothing was changed"):
        put(session, bin_)


@pytest.mark.slow
def test_killed_at_any_point_it_leaves_the_old_runner_or_the_new_one(tools: Path, bin_: Path) -> None:
    file = bin_ / "mail-blast-runner"
    text = with_texts("runner", {"runner_text": base64.encodebytes(OURS.content).decode()})
    orders = ("put", str(file), digest(OLD), OURS.sha256, f"{file}.before-x-{digest(OLD)[:12]}")
    sent = what_the_shell_reads("0" * 32, text, orders)

    def killed_after(seconds: float | None) -> bytes:
        file.write_bytes(OLD)
        child = subprocess.Popen(
            ["dash", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        )
        assert child.stdin is not None
        child.stdin.write(sent)
        child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return file.read_bytes()

    began = time.monotonic()
    assert killed_after(None) == OURS.content
    took = time.monotonic() - began
    found = [killed_after(took * point / 10) for point in range(12)]

    assert set(found) <= {OLD, OURS.content}
    assert OLD in found
    assert killed_after(None) == OURS.content, "what a killed one left behind is in nobody's way"
    assert not [name for name in beside(bin_) if "opsconsole-new" in name]


@pytest.mark.slow
def test_on_a_disk_that_is_full_the_old_runner_stays_whole(shell: LocalShell, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount")
    try:
        (disk / "mail-blast-runner").write_bytes(OLD)
        with pytest.raises(Refused, match=r"could not be written beside .*Room there: tmpfs"):
            put(shell, disk)
        assert whole(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
