"""Given a configuration, when the audit store is opened from it, then it lies where the [audit] table says."""

from pathlib import Path

import keyring
import pytest

from opsconsole import wiring
from opsconsole.audit import keychain
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.store import AuditStore
from opsconsole.config import ConfigError, Loaded, load, parse
from opsconsole.errors import AuditUnavailable
from tests.audit.support import event
from tests.support.postgres import PASSWORD, Postgres

TABLES = """
data_dir = "{folder}"
[environments.prod.blasthost.mail-a]
ssh = "mail-a.example.test"
[environments.prod.policy]
four_eyes = true
[environments.staging.blasthost.mail-b]
ssh = "mail-b.example.test"
"""


def loaded(folder: Path, audit: str) -> Loaded:
    file = folder / "opsconsole.toml"
    file.write_text(TABLES.format(folder=folder / "data") + audit)
    return load(file, "prod")


def test_without_a_table_it_is_a_file_beside_its_key_and_knows_every_environments_rules(tmp_path: Path) -> None:
    with wiring.open_store(loaded(tmp_path, "")) as store:
        assert store.path == tmp_path / "data" / "audit.db"
        assert store.rules.four_eyes == {"prod"}
        store.note(event("hold", environment="staging"))
        assert [item.destination for item in Outbox(store).waiting()] == ["anchor:mail-b"]
    assert (tmp_path / "data" / "audit.key").exists()


@pytest.mark.needs("postgres")
def test_a_team_shares_a_database_its_password_kept_elsewhere(tmp_path: Path, postgres: Postgres) -> None:
    address = postgres.new().replace(f":{PASSWORD}@", "@")
    (tmp_path / "secret").write_text(PASSWORD)
    audit = f'[audit]\nurl = "{address}"\n'
    with pytest.raises(AuditUnavailable) as caught:
        wiring.open_store(loaded(tmp_path, audit))
    assert "PGPASSFILE" in caught.value.next_step
    team = loaded(tmp_path, audit + f'password = {{file = "{tmp_path}/secret"}}\n')
    with wiring.open_store(team) as one, wiring.open_store(team) as other:
        assert [one.note(event()).seq, other.note(event()).seq] == [1, 2]
        assert (one.path, one.place) == (None, f"postgresql://127.0.0.1:{postgres.port}/postgres")
    assert not (tmp_path / "data" / "audit.db").exists()
    (tmp_path / "data" / "audit.key").unlink()
    with wiring.open_store(team) as stranger, pytest.raises(AuditUnavailable, match="share its key"):
        stranger.note(event())


def test_the_key_may_lie_in_the_system_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept.get((service, name)))
    monkeypatch.setattr(keyring, "set_password", lambda service, name, word: kept.update({(service, name): word}))
    with wiring.open_store(loaded(tmp_path, '[audit]\nkey = "keyring"\n')) as store:
        assert isinstance(store, AuditStore)
        assert [service for service, _ in kept] == [keychain.SERVICE]
        assert store.note(event()).seq == 1
    assert not (tmp_path / "data" / "audit.key").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('url = "mysql://db.example.test/x"', "must begin with postgresql://"),
        ('key = "paper"', "one of file, keyring"),
        ('outbox_kept_for = "a while"', "not a span of time"),
        ('uri = ""', "did you mean 'audit.url'|did you mean 'url'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse(f"[audit]\n{line}\n", "c.toml")
    assert "c.toml:2" in str(caught.value)
