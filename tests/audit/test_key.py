"""Given the file with the MAC key, when it is new, shared, damaged or foreign, then only a sound one is used."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opsconsole.audit import key
from opsconsole.errors import AuditUnavailable


def test_the_first_start_makes_a_private_key_and_the_next_finds_it(tmp_path: Path) -> None:
    path = key.default_path(tmp_path / "data")
    made = key.load_or_create(path)
    assert len(made) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_text() == made.hex() + "\n"
    assert key.load_or_create(path) == key.load(path) == made
    assert os.listdir(path.parent) == ["audit.key"]
    assert key.load_or_create(tmp_path / "other.key") != made


def test_many_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key.load_or_create(tmp_path / "audit.key"), range(32)))
    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["audit.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o777])
def test_a_key_others_can_reach_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "audit.key"
    key.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(AuditUnavailable) as caught:
        key.load_or_create(path)
    assert f"{mode:04o}" in caught.value.what
    assert f"chmod 600 '{path}'" in caught.value.next_step


@pytest.mark.parametrize(
    "content", [b"", b"a", b"ab" * 31, b"ab" * 33, b"zz" * 32, b" " + b"ab" * 32, b"\xff" * 64]
)
def test_a_damaged_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(AuditUnavailable, match="64 hex digits"):
        key.load_or_create(path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnavailable, match="File exists"):
        key.load_or_create(tmp_path / "file" / "audit.key")
    with pytest.raises(AuditUnavailable, match="No such file"):
        key.load(tmp_path / "audit.key")
