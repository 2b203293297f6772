"""The runner as one file: the same bytes every time, all it needs within, and it never minds being replaced."""

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runner
from backends.blasthost.runnerfile import BUNDLED, packed, runner_file, version_in
from tests.runner.conftest import Host, wait_for
from tests.support.smtp_peer import SmtpPeer

ROOT = Path(runner.__file__).parent
NOT_ALONE = {"runner.__main__", "runner.onefile", "runner.channel.smpp"}
"""Modules that run when they are imported, or need what doesn't go in."""
OPTIONAL = {"uvloop", "aiosmpplib", "boto3", "botocore"}
"""What the runner uses where the host's python3 has it, and does without elsewhere."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In a folder of its own that nobody may write to."""
    folder = tmp_path_factory.mktemp("bin")
    made = folder / "mail-blast-runner"
    made.write_bytes(runner_file().content)
    made.chmod(0o555)
    folder.chmod(0o555)
    yield made
    folder.chmod(0o755)


class OneFile(Host):
    """A host on which the runner is that file, run by a python3 that has no other packages."""

    program: tuple[str, ...] = ()

    def start(self, *args: str, stdout: int = subprocess.PIPE, **env: str) -> "subprocess.Popen[bytes]":
        where = {
            "--campaigns-dir": self.root / "campaigns",
            "--log-dir": self.root / "log",
            "--state-dir": self.root / "state" / "runs",
            "--credentials": self.credentials,
        }
        words = [str(word) for pair in where.items() for word in pair]
        process = subprocess.Popen(
            [*self.program, "--campaign", "may", *words, "--mode", *args],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "MAIL_BLAST_RETRY_BASE": "0.05", **env},
        )
        self.started.append(process)
        return process


@pytest.fixture
def host(tmp_path: Path, file: Path) -> Iterator[OneFile]:
    made = OneFile(tmp_path)
    made.program = (sys.executable, "-I", "-S", str(file))
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


@pytest.mark.slow
def test_it_rehearses_alone_with_its_own_zones_and_writes_nothing_beside_itself(host: OneFile, file: Path) -> None:
    host.campaign(["ann@example.com", "bob@example.com"], timezone="Europe/London", due_at="2026-10-25T01:30")

    done = host.run("dry-run", PYTHONTZPATH="")

    assert done.rc == 0, done.err
    assert done.summary["audience"] == 2
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_the_same_input_gives_the_same_bytes_and_the_file_tells_its_version_without_being_run(file: Path) -> None:
    one, other = {"a.py": b"1", "b/c.py": b"2"}, {"b/c.py": b"2", "a.py": b"1"}
    assert packed(one, "1.2") == packed(other, "1.2") != packed(one, "1.3")
    assert version_in(file.read_bytes()[-200:]) == runner.__version__
    assert version_in(b"#!/bin/sh\n") is None
    said = subprocess.run([file, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == runner.__version__


def test_whatever_the_runner_imports_is_in_it_with_its_licence(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    there = {name.partition("/")[0].removesuffix(".py") for name in names}
    wanted = {module for path in ROOT.rglob("*.py") for module in imported(path)}
    assert wanted - there - OPTIONAL - set(sys.stdlib_module_names) == set()
    licensed = {name.split("/")[1].rpartition("-")[0] for name in names if name.startswith("licences/")}
    assert licensed == {*BUNDLED, "mail-blast-runner"}
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert names == sorted(names)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_an_old_python_is_told_so_in_one_line() -> None:
    source = Path(runner.__file__).with_name("onefile.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    old = f"import sys; sys.version_info = (3, 9, 2)\nexec({source!r}, {{'__name__': '__main__'}})"
    done = subprocess.run([sys.executable, "-I", "-c", old], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is 3.9.2. Nothing was sent" in done.stderr


@pytest.mark.slow
def test_every_part_of_it_can_be_read_by_a_python_that_has_no_other_packages(file: Path) -> None:
    modules = [".".join(p.relative_to(ROOT.parent).with_suffix("").parts) for p in ROOT.rglob("*.py")]
    wanted = sorted({name.removesuffix(".__init__") for name in modules} - NOT_ALONE)
    program = f"import sys, importlib\nsys.path.insert(0, {str(file)!r})\n"
    program += f"for name in {wanted!r}: importlib.import_module(name)\nprint(sys.modules['httpx'].__file__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(file))


@pytest.mark.slow
def test_what_sends_goes_on_while_another_file_is_put_in_its_place(
    host: OneFile, peer: SmtpPeer, file: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "mail-blast-runner"
    installed.write_bytes(file.read_bytes())
    host.program = (sys.executable, "-I", "-S", str(installed))
    host.campaign(["r@bücher.example", *(f"r{number}@example.com" for number in range(59))])
    host.server(peer, "[notify]\nto = ops@example.com\n")
    peer.delay = 0.05

    sending = host.start("send", "--connections", "2", "--notify-completion")
    wait_for(lambda: peer.delivered)
    other = tmp_path / "other"
    other.write_bytes(b"not a zip at all" * 99_999)
    other.replace(installed)
    done = host.ended(sending)

    assert done.rc == 0, done.err
    assert done.summary["counts"]["accepted"] == 60
    assert len(peer.recipients()) == 61, "what is needed last, the notice, is read from the old file too"


@pytest.mark.slow
def test_killed_and_resumed_it_mails_nobody_twice(host: OneFile, peer: SmtpPeer) -> None:
    everybody = [f"r{number}@example.com" for number in range(200)]
    host.campaign(everybody)
    host.server(peer)
    peer.delay = 0.02
    first = host.start("send", "--connections", "2")
    wait_for(lambda: len(peer.delivered) > 20)
    first.kill()
    first.communicate()

    done = host.run("resume", "--connections", "2")

    got, counts = peer.recipients(), done.summary["counts"]
    assert max(got.values()) == 1
    assert counts["accepted"] + counts["unknown"] == 200
    assert 0 <= counts["unknown"] <= 4
    assert len(got) >= counts["accepted"]
