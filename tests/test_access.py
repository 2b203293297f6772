"""The access view as its users get it: the command, its JSON, the screen, and that no secret is ever in it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backends.dashboard_access import look
from backends.embedded.world import HOST, World
from backends.rest import NotThere, Purpose
from opsconsole.cli import main
from opsconsole.ports import Access, Trouble
from opsconsole.settings import Dashboard, DashboardAccount, SecretFrom
from tests.support.operator import before_the_screens

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
CANARY = "canary-5d0c77"


@pytest.fixture
def world(no_agent: None) -> Iterator[World]:
    with World() as world:
        yield world


def call(world: World, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(world.config_path), "access", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def told(world: World) -> dict[str, dict[str, Any]]:
    """By name of the entry, over both systems."""
    systems = json.loads(call(world, "--json").stdout)
    return {entry["name"]: entry for system in systems for entry in system["entries"]}


def test_no_secret_is_told_stored_or_logged(world: World) -> None:
    folder, home = world.config_path.parent, world.ssh.home / ".ssh"
    token, private = (folder / "token").read_text().strip(), (folder / "id_ed25519").read_text().splitlines()[2]
    secrets = [CANARY, token, private]
    world.paths.credentials.write_text(f"password = {CANARY}\n")
    key = world.ssh.login_key.public
    (home / "authorized_keys").write_text(
        f'command="/bin/x --password {CANARY}",environment="TOKEN={CANARY}" {key} secret={CANARY}\n{CANARY}\n'
    )
    (home / "id_deploy").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n")

    texts = [call(world), call(world, "--json")]

    for said in texts:
        assert said.exit_code == 1
        assert "only /bin/x (command)" in said.output
        assert not [secret for secret in secrets if secret in said.output]
    kept = [p for p in (folder / "data").rglob("*") if p.is_file()]
    assert not [p for p in kept for secret in secrets if secret.encode() in p.read_bytes()]


@pytest.mark.slow
def test_both_systems_are_told_by_their_own_words(world: World) -> None:
    world.dashboard.account["expires"] = "2999-01-01T00:00:00Z"

    entries = told(world)

    assert entries["opsconsole"]["scope"].startswith("roles campaign-writer; may campaigns:read, campaigns:write")
    assert "until 2999-01-01" in entries["opsconsole"]["scope"]
    assert entries["token"]["mode"] == "-rw-------"
    assert entries["credentials"]["kind"] == "credential"
    assert not any(entry["trouble"] for entry in entries.values())
    assert call(world).exit_code == 0


@pytest.mark.slow
def test_what_is_wrong_stands_first_and_decides_the_exit_code(world: World) -> None:
    world.paths.credentials.chmod(0o644)
    (world.config_path.parent / "token").chmod(0o640)

    said = call(world)

    assert said.exit_code == 1
    assert "It has mode 0644: others can read or change it. Set it to 0600." in said.stdout
    first = said.stdout[said.stdout.index(HOST) :].splitlines()[1:3]
    assert first[0].strip() == "wrong"
    assert first[1].split()[0] == "credentials"
    assert "It has mode 0640" in told(world)["token"]["trouble"]


@pytest.mark.slow
def test_a_system_that_is_away_says_so_and_the_other_is_told(world: World) -> None:
    world.ssh.cut()
    said = call(world)
    assert said.exit_code == 4
    assert "campaign-writer" in said.stdout

    world.ssh.mend()
    world.dashboard.stop()
    said = call(world)
    assert said.exit_code == 4
    assert "its content is never read" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_one_key_shows_it_troubles_first(world: World, size: tuple[int, int]) -> None:
    world.paths.credentials.chmod(0o644)
    async with before_the_screens(world, size) as operator:
        await operator.press("W")
        await operator.sees("access", HOST, "wrong", "credentials", "It has mode 0644", "dashboard")
        world.paths.credentials.chmod(0o600)
        await operator.press("R")
        await operator.until(lambda: "0644" not in operator.screen and "none of them wrong" in operator.screen)


# The dashboard's side, piece by piece.


def ask(answer: object, settings: Dashboard) -> dict[str, Access]:
    def get(path: str, purpose: Purpose) -> object:
        assert path == settings.account.path
        if isinstance(answer, Exception):
            raise answer
        return answer

    return {entry.name: entry for entry in look(get, settings, NOW)}


def dashboard(**more: Any) -> Dashboard:
    return Dashboard(url="https://dash.example.test", **more)


def test_a_dashboard_that_doesnt_tell_is_no_trouble() -> None:
    entry = ask(NotThere("Nothing there."), dashboard())["our account"]

    assert (entry.trouble, "doesn't tell" in entry.scope) == ("", True)
    assert ask(AssertionError, dashboard(account=DashboardAccount(path="")))["our account"].scope == entry.scope


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"roles": ["admin"]}, "more than the console needs (admin)"),
        ({"scopes": "tasks:read campaigns:*"}, "more than the console needs (campaigns:*)"),
        ({"expires": (NOW - timedelta(hours=1)).isoformat()}, "has ended"),
        ({"expires": (NOW + timedelta(days=3, hours=1)).isoformat()}, "ends in 3 days"),
        ({"roles": ["writer"], "expires": (NOW + timedelta(days=90)).isoformat()}, ""),
        ({"roles": {"a": 1}, "scopes": 7, "expires": "soon", "name": ["x"]}, ""),
    ],
)
def test_a_token_that_may_too_much_or_ends_is_trouble(answer: dict[str, Any], words: str) -> None:
    trouble = ask(answer, dashboard())["our account"].trouble

    assert (words in trouble) if words else not trouble


def test_the_account_is_found_where_the_config_says() -> None:
    account = DashboardAccount(path="/me", name="user.login", roles="user.groups[].id")
    answer = {"user": {"login": "console", "groups": [{"id": "mailers"}]}}

    assert "roles mailers" in ask(answer, dashboard(account=account))["console"].scope


def test_an_expression_that_doesnt_fit_is_told() -> None:
    with pytest.raises(Trouble, match=r"dashboard\.account"):
        ask({"n": "x"}, dashboard(account=DashboardAccount(roles="length(n.y)")))


KEPT: dict[str, tuple[Callable[[Path], SecretFrom], str]] = {
    "file for a group": (lambda p: SecretFrom(file=str(written(p, 0o640))), "0600"),
    "file gone": (lambda p: SecretFrom(file=str(p / "nowhere")), "can't be looked at"),
    "not in the environment": (lambda p: SecretFrom(env="NO_SUCH_TOKEN_HERE"), "isn't set"),
    "a command anybody can change": (lambda p: SecretFrom(cmd=[str(written(p, 0o777))]), "can change it"),
    "no such command": (lambda p: SecretFrom(cmd=[str(p / "nowhere")]), "no such program"),
    "file in order": (lambda p: SecretFrom(file=str(written(p, 0o600))), ""),
}


def written(folder: Path, mode: int) -> Path:
    file = folder / "secret"
    file.write_text(CANARY)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("name", KEPT)
def test_where_the_token_is_kept_is_told_and_never_what_it_is(tmp_path: Path, name: str) -> None:
    kept, words = KEPT[name]

    entries = ask({}, dashboard(token=kept(tmp_path)))

    trouble = entries["token"].trouble
    assert (words in trouble) if words else not trouble
    assert CANARY not in repr(entries)


def test_a_token_that_travels_unencrypted_is_trouble() -> None:
    assert "unencrypted" in ask({}, Dashboard(url="http://dash.example.test"))["the way to it"].trouble
    assert not ask({}, Dashboard(url="http://127.0.0.1:8080"))["the way to it"].trouble
