"""Every way to look at a host: python3 there, and each shell alone. The fixtures of the tests of the probe."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from opsconsole.hostfacts import HostFacts
from tests.blasthost.local import LocalSession, Tree

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
COMMON = ("python", "dash")  # the other shells say the same, and are asked in the fuller tests
WAYS = [name if name in COMMON else pytest.param(name, marks=pytest.mark.slow) for name in ("python", *SHELLS)]
Looker = Callable[..., HostFacts]


@pytest.fixture(name="tree")
def a_tree() -> Iterator[Tree]:
    """Outside pytest's own folder, which only its owner may enter."""
    root = Path(tempfile.mkdtemp(prefix="blast host "))
    root.chmod(0o755)
    yield Tree(root)
    shutil.rmtree(root)


@pytest.fixture(name="way", params=WAYS)
def each_way(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(setting of `python`, shell) of each way to look."""
    if request.param == "python":
        yield "auto", "/bin/sh"
        return
    shell = shutil.which(request.param) or ""
    if request.param == "busybox":
        folder = Path(tempfile.mkdtemp())
        yield "never", all_of_busybox(folder, shell)
        shutil.rmtree(folder)
    else:
        yield "never", shell


def all_of_busybox(folder: Path, program: str) -> str:
    """A shell whose every command is BusyBox's, also after the script has set its PATH."""
    applets = folder / "applets"
    applets.mkdir()
    for name in subprocess.run([program, "--list"], capture_output=True, check=True).stdout.decode().split():
        (applets / name).symlink_to(program)
    shell = folder / "busybox-sh"
    rule = f"s#PATH=/usr/local/bin:[^ ]*#PATH={applets}#"
    shell.write_text(f"#!/bin/sh\nPATH={applets}; export PATH\nsed '{rule}' | {applets}/sh -s\n")
    shell.chmod(0o755)
    folder.chmod(0o755)
    return str(shell)


@pytest.fixture(name="look")
def a_look(tree: Tree, way: tuple[str, str]) -> Looker:
    def looking(slugs: list[str] | None = None, cache: HashCache | None = None, **options: object) -> HostFacts:
        session = LocalSession(shell=way[1], **options)  # type: ignore[arg-type]
        return Probe(session, tree.settings(python=way[0]), cache or HashCache()).look(slugs)

    return looking
