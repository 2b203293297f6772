"""Where the dashboard's token comes from, and that it is shown nowhere."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.settings import Dashboard, SecretFrom
from tests.support.dashboard import CAMPAIGNS, TOKEN, reach


def test_the_token_is_read_again_after_it_was_refused(server: DashboardServer, tmp_path: Path) -> None:
    backend = reach(server.url, tmp_path, token="an-old-token-0815")
    assert "401" in backend.observe().trouble
    (tmp_path / "token").write_text(TOKEN)
    assert backend.observe().trouble == ""
    backend.close()


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (SecretFrom(), "exactly one"),
        (SecretFrom(env="A", file="B"), "exactly one"),
        (SecretFrom(env="OPSCONSOLE_TEST_NO_SUCH_VARIABLE"), "empty or not set"),
        (SecretFrom(file="/nonexistent/token"), "can't be read"),
        (SecretFrom(cmd=["/nonexistent/pass"]), "can't be run"),
        (SecretFrom(cmd=["sh", "-c", "echo hush-4711 >&2; exit 3"]), "ended with code 3"),
        (SecretFrom(cmd=["printf", "hush-4711\nmore"]), "characters that no token has"),
    ],
)
def test_a_token_that_cannot_be_had_is_explained_without_showing_anything(
    server: DashboardServer, kept: SecretFrom, words: str
) -> None:
    backend = DashboardBackend(
        "dashboard",
        Dashboard(url=server.url, token=kept),
        fresh_for=timedelta(seconds=90),
        timeout=timedelta(seconds=5),
    )
    trouble = backend.observe().trouble
    assert words in trouble
    assert "hush" not in trouble
    assert server.requests == []
    backend.close()


def test_a_token_from_a_command_or_the_environment_works(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_TEST_TOKEN", TOKEN)
    for kept in (SecretFrom(env="OPSCONSOLE_TEST_TOKEN"), SecretFrom(cmd=["printenv", "OPSCONSOLE_TEST_TOKEN"])):
        backend = DashboardBackend(
            "dashboard",
            Dashboard(url=server.url, token=kept),
            fresh_for=timedelta(seconds=90),
            timeout=timedelta(seconds=5),
        )
        assert backend.observe().trouble == ""
        assert TOKEN not in repr(vars(backend))
        backend.close()


def test_the_server_keeps_its_state_in_a_file_and_asks_for_the_token(
    server: DashboardServer, tmp_path: Path
) -> None:
    kept = json.loads((tmp_path / "dashboard.json").read_text())
    assert [row["slug"] for row in kept["campaigns"]] == [row["slug"] for row in CAMPAIGNS]
    assert stat.S_ISREG((tmp_path / "dashboard.json").stat().st_mode)
    stranger = reach(server.url, tmp_path, token="guess")
    assert "401" in stranger.observe().trouble
    stranger.close()
