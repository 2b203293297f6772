"""The scripts that cron lines call are read, bounded and without secrets, so that what they start can be told."""

import os
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost.facts import BadAnswer
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from backends.blasthost.words import report
from backends.blasthost.wrappers import KEPT_FOR, Wrappers
from opsconsole.config import duration
from opsconsole.cronbelongs import MOST_SCRIPTS
from opsconsole.hostfacts import CronFact, FileFact, HostFacts, Kind
from opsconsole.policy import Policy
from tests.blasthost.local import LocalSession, Tree
from tests.blasthost.shells import LocalShell
from tests.domain.words import NOW

SLUG = "paul-simon-may12"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def script(path: Path, text: str | bytes, mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def called(tree: Tree, *paths: object) -> HostFacts:
    text = "".join(f"0 9 12 5 * root {path}\n" for path in paths).encode()
    cron = CronFact(file=FileFact(path=str(tree.cron), kind=Kind.FILE, mode=0o644, owner="root"), text=text)
    return HostFacts(host="prod", cron=(cron,))


class Counting(LocalShell):
    asked = 0

    def run(self, text: Any, *args: str, **more: Any) -> Any:
        self.asked += 1
        return super().run(text, *args, **more)


def test_scripts_are_read_and_programs_secrets_and_large_files_are_not(
    tree: Tree, tmp_path: Path, shell: list[str]
) -> None:
    bin_ = tmp_path / "opt"
    good = script(bin_ / "may", f"#!/bin/sh\nmail-blast-runner --campaign {SLUG} --mode send\n")
    named = script(bin_ / "may.sh", "true\n", 0o644)
    bare = script(bin_ / "bare", "mail-blast-runner\n")
    program = script(bin_ / "program", b"\x7fELF\0\0\0")
    text = script(bin_ / "notes", "not a script", 0o644)
    large = script(bin_ / "large.sh", "#!/bin/sh\n" + "x" * 70_000)
    secret = bin_ / "secret.sh"
    secret.symlink_to(tree.credentials)
    folder = bin_ / "folder"
    folder.mkdir()
    paths = (good, named, bare, program, text, large, secret, folder, bin_ / "gone", tree.credentials)

    found = Wrappers(LocalShell(shell), tree.settings()).add(called(tree, *paths), 0.0).scripts

    told = {Path(one.path).name: one for one in found}
    assert told["may"].text == good.read_bytes()
    assert {name for name, one in told.items() if one.text is not None} == {"may", "may.sh", "bare"}
    assert {name: one.trouble for name, one in told.items() if one.trouble} == {
        "large.sh": "larger than 64 KiB",
        "folder": "no plain file",
    }
    assert b"hunter2" not in b"".join(one.text or b"" for one in found)
    assert "hunter2" not in repr(found)


def test_they_are_asked_for_once_in_a_while_and_no_more_than_a_few(tree: Tree, tmp_path: Path) -> None:
    session = Counting(["sh"])
    wrappers = Wrappers(session, tree.settings())
    assert wrappers.add(called(tree, tree.runner, "/usr/bin/true"), 0.0).scripts == ()
    assert session.asked == 0
    many = [script(tmp_path / "opt" / f"s{n}.sh", "true\n") for n in range(MOST_SCRIPTS + 5)]
    facts = called(tree, *many)
    assert len(wrappers.add(facts, 0.0).scripts) == MOST_SCRIPTS
    many[0].write_text("false\n")
    assert wrappers.add(facts, KEPT_FOR - 1).scripts[0].text == b"true\n"
    assert wrappers.add(facts, KEPT_FOR).scripts[0].text == b"false\n"
    assert wrappers.add(called(tree, many[0]), KEPT_FOR).scripts[0].text == b"false\n"
    assert session.asked == 3


def test_an_answer_about_other_scripts_is_none(tree: Tree, tmp_path: Path) -> None:
    class Odd(LocalShell):
        def run(self, text: Any, *args: str, **more: Any) -> Any:
            return super().run("main() { echo 0 TEXT; echo 1 TEXT; }\nmain\n", *args, **more)

    with pytest.raises(BadAnswer):
        Wrappers(Odd(["sh"]), tree.settings()).add(called(tree, tmp_path / "x.sh"), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("python", ["python3", "no-such-python"], ids=["with python", "with sh alone"])
def test_a_line_that_calls_a_script_is_a_trigger_of_the_campaign_in_it(
    tree: Tree, tmp_path: Path, python: str
) -> None:
    tree.campaign(SLUG)
    path = script(tmp_path / "opt" / "may.sh", f"#!/bin/sh\n{tree.runner} --campaign {SLUG} --mode send\n")
    tree.cron.write_text(f"0 9 12 5 * root {path}\n")
    owner = Path("/proc/self").owner()
    settings = tree.settings(cron_owner=owner)
    session = LocalSession(python=python, env={"PATH": os.environ["PATH"]})
    facts = Probe(session, settings, HashCache(None)).look()

    said = report(facts, settings, source="prod", now=NOW, fresh_for=duration(settings.fresh_for), policy=Policy())

    (word,) = said.observations
    (trigger,) = word.triggers
    assert trigger.where == f"{tree.cron}:1"
    assert trigger.text.endswith(f"(by {path})")
    assert trigger.live
    assert trigger.key
