"""What docs/backends.md says is so: its protocols are there, and its backend is made by an entry point."""

import re
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from backends import plugins
from opsconsole import ports
from opsconsole.config import parse
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Surroundings
from tests.contract.on_example import example

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text("utf-8")


@pytest.fixture(scope="module")
def bench() -> None:
    """None is needed here."""


@pytest.fixture(autouse=True)
def pace() -> None:
    """Nor one that goes slowly."""


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(
        policy=Policy(), data_dir=tmp_path, clock=lambda: datetime.now(UTC), started=lambda carrier, slug: None
    )


def test_every_protocol_that_it_names_is_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert "Source" in rows
    assert "Carrier" in rows
    for name in rows:
        assert getattr(getattr(ports, name), "_is_protocol", False), name


def test_its_backend_is_made_by_its_entry_point_and_says_what_its_options_lack(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = example()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    name, value = re.findall(r'^(\w+) = "(\w+:\w+)"', PAGE, re.MULTILINE)[0]
    points = [EntryPoint(name, value, plugins.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    table = re.findall(r"```toml\n(# opsconsole's config.toml\n.*?)```", PAGE, re.DOTALL)[0]
    named, settings = next(iter(parse(table, "page").environments["prod"].backend.items()))
    made = plugins.made(named, settings, around)
    assert (made.name, type(made).__name__) == ("spool-1", "Spool")
    assert "can't be read" in made.observe().trouble
    with pytest.raises(Refused, match=r"options\.folder is missing"):
        plugins.made(named, msgspec.structs.replace(settings, options={}), around)
