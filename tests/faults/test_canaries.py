"""Given a secret and a recipient in hand when something crashes, then neither is in anything that is told of it."""

import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from opsconsole import redact, wiring
from opsconsole.cli import main
from opsconsole.looking import utc_now
from opsconsole.watch import Watch, Watched
from screens.crash import say_crash, write_report
from tests.faults.support import report

pytestmark = pytest.mark.slow

SLUG = "fleet-week-parking"
ENDED = "harbor-lights-jul"


def word() -> str:
    return secrets.token_hex(12)


class Carrying(RuntimeError):
    """An error with a secret in hand."""


def test_a_crash_tells_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, shaped = word(), word()
    redact.add_secret(known)
    text = f"{known} password={shaped} gina.lollo@example.com \x1b[2J"
    texts = []
    try:
        try:
            raise Carrying(text)
        except Carrying as error:
            raise ValueError(f"because of {text}") from error
    except ValueError as error:
        path = write_report(error, tmp_path)
        assert path is not None
        texts += [path.read_text(), say_crash(error, path)]
        assert path.stat().st_mode & 0o077 == 0

    # A command that fails in a way nobody thought of.
    config = tmp_path / "config.toml"
    config.write_text(f'environment = "demo"\ndata_dir = "{tmp_path}/data"\n[environments.demo]\n')

    def fails(*_: object, **__: object) -> None:
        raise Carrying(text)

    monkeypatch.setattr(wiring, "build", fails)
    result = CliRunner().invoke(main, ["--config", str(config), "board"])
    texts += [result.output, *(p.read_text() for p in (tmp_path / "data").glob("crash-*"))]
    assert isinstance(result.exception, SystemExit), result.exception
    assert len(texts) == 4

    # A source that fails in a thread: what it said goes to the board, and into the last known state.
    class Source:
        name = "host"
        observe = fails

        def close(self) -> None: ...

    watch = Watch([Watched(Source(), timedelta(seconds=5))], utc_now, tmp_path / "last.json")  # type: ignore[arg-type]
    watch.refresh()
    texts += [watch.reports()["host"].trouble, (tmp_path / "last.json").read_text()]

    leaks = [each for each in texts if known in each or shaped in each or "gina.lollo" in each or "\x1b" in each]
    report("canaries-crash", len(texts), len(texts), len(leaks))
    assert not leaks, leaks
