"""known_hosts files as they are found on operators' machines, and what each line means."""

import base64
import subprocess
from pathlib import Path

import paramiko
import pytest

from backends.blasthost import hostkeys
from backends.blasthost.errors import ChangedHostKey, RevokedHostKey, UnknownHostKey


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture(scope="module")
def other() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


def line(hosts: str, key: paramiko.PKey) -> str:
    return f"{hosts} {key.get_name()} {key.get_base64()}"


def file_with(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "known_hosts"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(
    ("hosts", "name", "port"),
    [
        ("blast.example.test", "blast.example.test", 22),
        ("Blast.Example.Test", "blast.example.test", 22),
        ("blast.example.test", "BLAST.example.test", 22),
        ("other,blast.example.test,third", "blast.example.test", 22),
        ("[blast.example.test]:2222", "blast.example.test", 2222),
        ("*.example.test", "blast.example.test", 22),
        ("blast?.example.test", "blast7.example.test", 22),
        ("[*.example.test]:2222", "blast.example.test", 2222),
        ("!old.example.test,*.example.test", "blast.example.test", 22),
        ("2001:db8::7", "2001:db8::7", 22),
        ("[2001:db8::7]:2222", "2001:db8::7", 2222),
    ],
)
def test_a_listed_key_is_accepted(tmp_path: Path, key: paramiko.PKey, hosts: str, name: str, port: int) -> None:
    hostkeys.check(name, port, key, [file_with(tmp_path, line(hosts, key))])


@pytest.mark.parametrize(
    ("hosts", "name", "port"),
    [
        ("blast.example.test", "blast.example.test", 2222),
        ("[blast.example.test]:2222", "blast.example.test", 22),
        ("*.example.test,!blast.example.test", "blast.example.test", 22),
        ("*.example.test", "example.test", 22),
        ("[bl]ast.example.test", "blast.example.test", 22),
        ("|1|nonsense", "blast.example.test", 22),
        ("|1|####|####", "blast.example.test", 22),
    ],
)
def test_a_key_of_another_host_is_not_this_host_s(
    tmp_path: Path, key: paramiko.PKey, hosts: str, name: str, port: int
) -> None:
    with pytest.raises(UnknownHostKey):
        hostkeys.check(name, port, key, [file_with(tmp_path, line(hosts, key))])


@pytest.mark.parametrize(("name", "port"), [("blast.example.test", 22), ("blast.example.test", 2222)])
def test_a_hashed_name_is_found(tmp_path: Path, key: paramiko.PKey, name: str, port: int) -> None:
    hashed = paramiko.HostKeys.hash_host(hostkeys.lookup_name(name, port))
    file = file_with(tmp_path, line(hashed, key))
    hostkeys.check(name, port, key, [file])
    with pytest.raises(UnknownHostKey):
        hostkeys.check("elsewhere.example.test", port, key, [file])


@pytest.mark.needs("ssh-keygen")
def test_a_file_hashed_by_ssh_keygen_is_read(tmp_path: Path, key: paramiko.PKey) -> None:
    file = file_with(tmp_path, line("[blast.example.test]:2222", key))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "blast" not in file.read_text()
    hostkeys.check("blast.example.test", 2222, key, [file])


def test_lines_nobody_can_read_hide_none_of_the_others(
    tmp_path: Path, key: paramiko.PKey, other: paramiko.PKey
) -> None:
    file = file_with(
        tmp_path,
        "# a comment",
        "",
        "garbage",
        "blast.example.test ssh-ed25519",
        "blast.example.test ssh-ed25519 not-base64!",
        "blast.example.test ssh-ed25519 AAAA",
        line("blast.example.test", other).replace("nistp256 ", "nistp384 ", 1),  # says one type, holds another
        "\x00\x1b[31m \xff",
        "@unknown-marker " + line("blast.example.test", other),
        "@cert-authority " + line("*.example.test", other),
        "@revoked " + line("*", other),
        line("blast.example.test", key) + " and a comment",
    )
    hostkeys.check("blast.example.test", 22, key, [file])


def test_a_revoked_key_is_refused_even_where_another_line_trusts_it(tmp_path: Path, key: paramiko.PKey) -> None:
    file = file_with(tmp_path, line("blast.example.test", key), "@revoked " + line("*", key))
    with pytest.raises(RevokedHostKey, match="@revoked"):
        hostkeys.check("blast.example.test", 22, key, [file])


def test_a_key_revoked_for_a_host_is_revoked_on_every_port(tmp_path: Path, key: paramiko.PKey) -> None:
    file = file_with(
        tmp_path, line("[blast.example.test]:2222", key), "@revoked " + line("blast.example.test", key)
    )
    with pytest.raises(RevokedHostKey):
        hostkeys.check("blast.example.test", 2222, key, [file])


def test_a_changed_key_names_both_fingerprints_and_the_line(
    tmp_path: Path, key: paramiko.PKey, other: paramiko.PKey
) -> None:
    file = file_with(tmp_path, "# first", line("blast.example.test", other))
    with pytest.raises(ChangedHostKey) as caught:
        hostkeys.check("blast.example.test", 22, key, [file])
    message = str(caught.value)
    assert key.fingerprint in message
    assert other.fingerprint in message
    assert f"{file}:2" in message


def test_a_key_of_a_new_type_on_a_known_host_counts_as_changed(tmp_path: Path, key: paramiko.PKey) -> None:
    known = paramiko.RSAKey.generate(2048)
    file = file_with(tmp_path, line("blast.example.test", known))
    with pytest.raises(ChangedHostKey):
        hostkeys.check("blast.example.test", 22, key, [file])


def test_an_unknown_key_comes_with_its_fingerprint_and_the_commands(
    tmp_path: Path, key: paramiko.PKey, other: paramiko.PKey
) -> None:
    file = file_with(tmp_path, "@cert-authority " + line("*.example.test", other))
    with pytest.raises(UnknownHostKey) as caught:
        hostkeys.check("blast.example.test", 2222, key, [file, tmp_path / "missing"])
    assert caught.value.fingerprint == key.fingerprint
    assert "ssh-keyscan -p 2222 blast.example.test | ssh-keygen -lf -" in caught.value.next_step
    assert f"opsconsole host trust blast.example.test {key.fingerprint}" in caught.value.next_step
    assert "certificates are not supported" in caught.value.means


def test_trusting_adds_one_line_and_touches_no_other(
    tmp_path: Path, key: paramiko.PKey, other: paramiko.PKey
) -> None:
    file = tmp_path / "new" / "known_hosts"
    hostkeys.trust("blast.example.test", 2222, key.asbytes(), file)
    hostkeys.check("blast.example.test", 2222, key, [file])
    assert file.stat().st_mode & 0o777 == 0o600

    before = "# mine\nhalf a line without an end"
    file.write_text(before)
    hostkeys.trust("blast.example.test", 22, other.asbytes(), file)
    assert file.read_text().startswith(before + "\n")
    hostkeys.check("blast.example.test", 22, other, [file])


def test_known_types_of_key_are_asked_for_first(tmp_path: Path) -> None:
    known = paramiko.RSAKey.generate(2048)
    file = file_with(tmp_path, line("blast.example.test", known))
    offered = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    asked = hostkeys.preferred_algorithms("blast.example.test", 22, [file], offered)
    assert asked == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256")


def test_fingerprints_are_those_of_ssh_keygen(key: paramiko.PKey) -> None:
    assert hostkeys.fingerprint(base64.b64decode(key.get_base64())) == key.fingerprint
