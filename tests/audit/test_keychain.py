"""Given a key to be kept in the system keyring, when there is one, none or a false one, then it says so."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from opsconsole.audit import key, keychain
from opsconsole.errors import AuditUnavailable


class Memory(KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    use(memory, monkeypatch)
    return memory


def use(backend: KeyringBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_password", backend.get_password)
    monkeypatch.setattr(keyring, "set_password", backend.set_password)


def test_the_first_start_makes_a_key_in_the_ring_and_none_on_the_disk(ring: Memory, tmp_path: Path) -> None:
    file = tmp_path / "data" / "audit.key"
    made = keychain.load_or_create("here", file)
    assert len(made) == key.KEY_BYTES
    assert keychain.load_or_create("here", file) == made
    assert keychain.load_or_create("there", file) != made
    assert not file.exists()
    assert ring.kept[keychain.SERVICE, "here"] == made.hex()


def test_many_first_starts_agree(ring: Memory, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: keychain.load_or_create("here", tmp_path / "audit.key"), range(16)))
    assert len(made) == 1


def test_a_key_that_still_lies_in_its_file_is_never_replaced(ring: Memory, tmp_path: Path) -> None:
    file = tmp_path / "audit.key"
    old = key.load_or_create(file)
    with pytest.raises(AuditUnavailable, match="still lies in") as caught:
        keychain.load_or_create("here", file)
    assert f"< '{file}'" in caught.value.next_step
    assert not ring.kept
    ring.set_password(keychain.SERVICE, "here", file.read_text())  # as the keyring's own command reads it
    assert keychain.load_or_create("here", file) == old


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring()])
def test_no_keyring_is_a_clear_error(
    backend: KeyringBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(backend, monkeypatch)
    with pytest.raises(AuditUnavailable, match="can't be used") as caught:
        keychain.load_or_create("here", tmp_path / "audit.key")
    assert "--list-backends" in caught.value.next_step
    assert 'key = "file"' in caught.value.next_step


def test_a_missing_library_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(AuditUnavailable, match="pip install 'opsconsole\\[keyring\\]'"):
        keychain.load_or_create("here", tmp_path / "audit.key")


@pytest.mark.parametrize("kept", ["", "ab", "zz" * 32, "SecretCanary"])
def test_something_else_in_its_place_is_left_alone_and_not_told(ring: Memory, tmp_path: Path, kept: str) -> None:
    ring.set_password(keychain.SERVICE, "here", kept)
    with pytest.raises(AuditUnavailable, match="no audit key") as caught:
        keychain.load_or_create("here", tmp_path / "audit.key")
    assert "Canary" not in str(caught.value)
    assert ring.kept == {(keychain.SERVICE, "here"): kept}
