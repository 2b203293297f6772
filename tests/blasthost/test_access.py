"""Who may act on a host, by the real script: what is told of account, keys and files, and what never."""

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost.access import look
from backends.blasthost.answers import Completed
from backends.blasthost.errors import HostLost
from backends.blasthost.sshconfig import Target
from backends.embedded.keys import make_key_pair
from opsconsole.access import SystemAccess, judged, say_rest
from opsconsole.policy import Policy
from opsconsole.ports import Access, OutOfReach, Trouble
from opsconsole.settings import BlastHost
from tests.support.blasthost import BlastTree

KEY = make_key_pair().public
CANARY = "canary-9e21f4"


@dataclass
class Here:
    """This machine as the host: runs scripts with a shell of its own, a home and a PATH of the test's."""

    home: Path
    path: str

    def run(
        self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 1 << 20
    ) -> Completed:
        assert isinstance(script, str)
        done = subprocess.run(
            ["/bin/sh", "-s", "--", *args],
            input=script.encode(),
            capture_output=True,
            timeout=timeout,
            env={"HOME": str(self.home), "PATH": self.path},
            check=False,
        )
        assert len(done.stdout) < max_bytes
        return Completed(done.stdout, done.stderr, done.returncode, 0.0)


@dataclass
class Asked:
    """A tree and how it is asked; `entries` asks anew."""

    tree: BlastTree
    host: Here
    key_file: Path

    @property
    def settings(self) -> BlastHost:
        owner = Path(self.tree.root).owner()
        return self.tree.settings_with(cron_owner=owner, key_files=[str(self.key_file)])

    def entries(self) -> dict[str, Access]:
        target = Target("blast", "127.0.0.1", 22, "blast", identity_files=(self.key_file,), identities_only=True)
        return by_name(look(self.host, self.settings, target, lambda: "SHA256:here", "blast"))

    def authorize(self, *lines: str) -> Path:
        file = self.host.home / ".ssh" / "authorized_keys"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
        return file


def by_name(entries: Iterable[Access]) -> dict[str, Access]:
    return {entry.name: entry for entry in entries}


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    tree = BlastTree(tmp_path / "tree")
    (tree.root / "credentials").write_text(f"password = {CANARY}\n")
    (tree.root / "credentials").chmod(0o600)
    (tree.root / "cron").write_text("")
    (tree.root / "cron").chmod(0o644)
    home = tmp_path / "home"
    home.mkdir()
    key = make_key_pair().save(tmp_path / "id_console")
    return Asked(tree, Here(home, os.environ["PATH"]), key)


def test_a_host_in_order_has_no_trouble_but_with_what_root_may_do(asked: Asked) -> None:
    asked.authorize(f'from="192.0.2.7" {KEY} console')

    told = asked.entries()

    assert not [entry for entry in told.values() if entry.trouble]
    assert told["credentials"].mode == "-rw-------"
    assert "its content is never read" in told["credentials"].scope
    assert told["credentials"].kind == "credential"
    assert told["console"].fingerprint.startswith("ssh-ed25519 SHA256:")
    assert "from 192.0.2.7" in told["console"].scope
    assert "not locked" in told["id_console"].scope
    assert told["runner"].fingerprint.startswith("sha256 ")
    assert "may read and write it" in told["campaigns"].scope
    assert told["host key"].fingerprint


SPOILED: dict[str, tuple[Callable[[Asked], object], str, str]] = {
    "credentials for everybody": (lambda a: (a.tree.root / "credentials").chmod(0o644), "credentials", "0600"),
    "credentials gone": (lambda a: (a.tree.root / "credentials").unlink(), "credentials", "isn't there"),
    "campaigns for everybody": (lambda a: a.tree.campaigns.chmod(0o777), "campaigns", "Everybody on the host"),
    "state for everybody": (lambda a: a.tree.runs.chmod(0o1777), "state", "Everybody on the host"),
    "cron table for a group": (lambda a: (a.tree.root / "cron").chmod(0o664), "cron", "cron ignores"),
    "runner for everybody": (lambda a: a.tree.runner.chmod(0o757), "runner", "decides what a send does"),
    "runner no program": (lambda a: a.tree.runner.chmod(0o644), "runner", "chmod 755"),
    "key file for a group": (lambda a: a.key_file.chmod(0o640), "id_console", "0600"),
    "key file gone": (lambda a: a.key_file.unlink(), "id_console", "The config names it"),
    "unknown option": (lambda a: a.authorize(f"restrct {KEY} carl"), "carl", "no such option (restrct)"),
    "no key": (lambda a: a.authorize("something else"), "line 1", "no key that sshd knows"),
    "keys for everybody": (lambda a: a.authorize().chmod(0o666), "authorized_keys", "written by others"),
}


FAST = ("credentials for everybody", "unknown option")


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SPOILED])
def test_each_trouble_is_one_sentence_beside_its_entry(asked: Asked, name: str) -> None:
    spoil, entry, words = SPOILED[name]
    spoil(asked)

    told = asked.entries()

    assert words in told[entry].trouble
    others = [
        e for e in told.values() if e.trouble and e.name != entry and "Whoever has it is root" not in e.trouble
    ]
    assert not others


def test_a_key_without_limits_is_trouble_where_it_makes_root(asked: Asked) -> None:
    asked.authorize(f"{KEY} carl")

    trouble = asked.entries()["carl"].trouble

    assert ("is root on blast" in trouble) is (os.getuid() == 0)


def test_sudo_is_asked_without_a_password_and_never_for_one(asked: Asked, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >>"$HOME/asked"\n'
        "printf 'User x may run the following commands on y:\\n'\n"
        "echo '    (root) NOPASSWD: /usr/bin/systemctl restart x, /bin/y'\n"
    )
    program.chmod(0o755)
    asked.host.path = f"{program.parent}:{asked.host.path}"

    sudo = asked.entries()["sudo"]

    assert sudo.scope == "as root, without a password: /usr/bin/systemctl, /bin/y"
    assert not sudo.trouble
    assert (asked.host.home / "asked").read_text() == "-n -l\n"


def test_looking_reads_no_credential_and_changes_nothing(asked: Asked) -> None:
    asked.authorize(f'command="/bin/x {CANARY}" {KEY} password={CANARY}', CANARY)
    credentials = asked.tree.root / "credentials"
    os.utime(credentials, ns=(1_000_000_000, credentials.stat().st_mtime_ns))  # reading would date it anew
    before = {p: (s.st_mode, s.st_mtime_ns, s.st_ctime_ns) for p in asked.tree.root.rglob("*") for s in [p.stat()]}

    told = asked.entries()

    assert CANARY not in repr(told)
    assert credentials.stat().st_atime_ns == 1_000_000_000
    after = {p: (s.st_mode, s.st_mtime_ns, s.st_ctime_ns) for p in asked.tree.root.rglob("*") for s in [p.stat()]}
    assert after == before


@pytest.mark.parametrize(
    "answer", [b"", b"USER x\n", b"NOW 1\nUSER 0 cm9vdA== cm9vdA==\nPATH a b\n", b"HTTP/1.1 200\n"]
)
def test_an_answer_that_cant_be_read_is_told_and_nothing_of_it_shown(asked: Asked, answer: bytes) -> None:
    class Strange(Here):
        def run(self, *_: object, **__: object) -> Completed:
            return Completed(answer, b"", 0, 0.0)

    asked.host = Strange(asked.host.home, "")

    with pytest.raises(Trouble, match="can't be read"):
        asked.entries()


def test_a_host_that_is_lost_meanwhile_is_out_of_reach(asked: Asked) -> None:
    class Lost(Here):
        def run(self, *_: object, **__: object) -> Completed:
            raise HostLost("The line to blast broke.", "", "")

    asked.host = Lost(asked.host.home, "")

    with pytest.raises(OutOfReach):
        asked.entries()


NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


def test_a_key_older_than_the_team_lets_it_be_is_trouble_and_comes_first() -> None:
    def key(name: str, days: int) -> Access:
        return Access(kind="key", name=name, where="x", since=NOW - timedelta(days=days))

    account = Access(kind="role", name="root", where="x")
    told = judged([account, key("new", 10), key("old", 1500)], Policy(), NOW)

    assert [entry.name for entry in told] == ["old", "root", "new"]
    assert told[0].trouble == "It has been the same for 4 years, over 3 years: renew it."
    assert "unchanged for 10 days" in say_rest(told[2], NOW)
    assert [head for head, _ in SystemAccess(name="x", entries=told).sections()] == ["wrong", "roles", "keys"]
