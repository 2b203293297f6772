"""Public keys by kind and fingerprint, and what a line of authorized_keys lets its key do."""

import subprocess
from pathlib import Path

import pytest

from backends.blasthost.offered import is_locked
from backends.blasthost.publickeys import PublicKey, read_keys
from backends.embedded.keys import make_key_pair

KEY = make_key_pair().public
CANARY = "hunter2-canary"


def only(line: str) -> PublicKey:
    (key,) = read_keys(line)
    assert isinstance(key, PublicKey)
    return key


@pytest.mark.needs("ssh-keygen")
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", pytest.param("rsa", marks=pytest.mark.slow)])
def test_a_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True, timeout=30)
    said = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True, timeout=30)

    key = only(Path(f"{file}.pub").read_text())

    bits, fingerprint, *_ = said.stdout.split()
    assert key.fingerprint == fingerprint
    assert kind != "rsa" or key.bits == int(bits)
    assert is_locked(file) is False


@pytest.mark.needs("ssh-keygen")
@pytest.mark.slow
@pytest.mark.parametrize("form", [[], ["-m", "PEM"], ["-m", "PKCS8"]])
def test_a_locked_key_is_known_to_be_locked(tmp_path: Path, form: list[str]) -> None:
    file = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", *form, "-N", "a long passphrase", "-f", str(file)]
    subprocess.run(command, check=True, timeout=30)

    assert is_locked(file) is True


def test_a_line_says_what_limits_its_key() -> None:
    key = only(f'restrict,from="192.0.2.0/24,!192.0.2.9",command="/usr/bin/rrsync -ro /var" {KEY} backup job')

    assert key.limits == ("restrict", "from 192.0.2.0/24,!192.0.2.9", "only /usr/bin/rrsync (command)")
    assert not key.unlimited
    assert key.comment == "backup job"


@pytest.mark.parametrize(
    "options", ["", "pty ", 'environment="A=b" ', "no-port-forwarding,no-pty ", "PORT-FORWARDING "]
)
def test_what_doesnt_narrow_a_key_leaves_it_unlimited(options: str) -> None:
    assert only(f"{options}{KEY}").unlimited


@pytest.mark.parametrize("options", ["restrct ", 'from="192.0.2.1",forced="x" ', "pty,,restrict "])
def test_an_option_that_sshd_doesnt_know_is_told(options: str) -> None:
    assert only(f"{options}{KEY}").unknown


@pytest.mark.parametrize(
    "line",
    [
        f'command="/bin/sync --password {CANARY}" {KEY}',
        f'command="TOKEN={CANARY} /bin/sync" {KEY}',
        f'environment="API={CANARY}" {KEY}',
        f'environment="{CANARY}" {KEY}',
        f"{CANARY} {KEY}",
        f"{KEY} password={CANARY}",
        f"{CANARY}",
        f"-----BEGIN OPENSSH PRIVATE KEY----- {CANARY}",
        f"ssh-ed25519 {CANARY}",
    ],
    ids=range(9),  # the key is a new one in every process
)
def test_no_line_tells_a_secret_that_stands_in_it(line: str) -> None:
    assert CANARY not in repr(list(read_keys(line)))


def test_lines_that_are_no_keys_are_told_by_their_number() -> None:
    text = f"# a comment\n\n{KEY}\nrubbish\nssh-rsa {KEY.split()[1]}\nssh-ed25519\n"
    assert [key if isinstance(key, int) else key.number for key in read_keys(text)] == [3, 4, 5, 6]
