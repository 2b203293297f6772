"""Systems of every kind in one configuration: names and values checked, and one that can't be had hides nothing."""

import json
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backends import plugins
from opsconsole.cli import main
from opsconsole.config import EXAMPLE, ConfigError, parse
from opsconsole.observation import Report
from opsconsole.ports import OutOfReach, Refused, Surroundings, Told
from opsconsole.settings import Backend
from opsconsole.unbuilt import Unbuilt
from tests.domain.words import NOW

GOOD = """\
[environments.prod.listmonk.lists]
url = "https://lists.example.com"
user = "opsconsole"

[environments.prod.serverless.bulk]
region = "eu-central-1"

[environments.prod.backend.fax]
kind = "fax"
"""
AROUND: Any = None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("serverless.bulk", "serverless.lists", "c.toml:5: 'lists' names a system of listmonk already"),
        ("backend.fax", "backend.console", "can't name a system"),
        ("https://lists", "lists", "c.toml:2: environments.prod.listmonk.lists.url must begin with https://"),
        ('"opsconsole"', '" "', "c.toml:3: environments.prod.listmonk.lists.user is empty"),
        ("user =", 'list_every = "soon"\nuser =', "listmonk.lists.list_every: 'soon' is not a span"),
        ("user =", 'timezone = "Mars"\nuser =', "listmonk.lists.timezone"),
        ("user =", 'slug_tag = "series:"\nuser =', "slug_tag is the same as series_tag"),
        ("user =", "max_audience = 5\nmin_audience = 9\nuser =", "max_audience is below min_audience"),
        ("user =", 'testers = ["mara"]\nuser =', "each must be an address"),
        ("region =", 'backlog_after = "1 fortnight"\nregion =', "serverless.bulk.backlog_after"),
        ("region =", "quota_warn = 80\nregion =", "serverless.bulk.quota_warn is a share"),
        ("region =", "pages = 0\nregion =", "or nothing is read"),
        ("region =", 'endpoint = "localhost"\nregion =', "endpoint must begin with"),
        ('"eu-central-1"', '""', "serverless.bulk.region is empty"),
        ("kind =", 'refresh_every = "now"\nkind =', "backend.fax.refresh_every"),
        ('kind = "fax"', "", "needs the key 'kind'"),
    ],
)
def test_a_mistake_in_a_system_is_named(old: str, new: str, says: str) -> None:
    parse(GOOD, "c.toml")
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(old, new, 1), "c.toml")
    assert says in str(caught.value)


def test_the_example_shows_every_kind_of_system_and_is_one_when_its_marks_are_taken_away() -> None:
    tables = [line.removeprefix("# ") for line in EXAMPLE.splitlines() if not line.startswith("# opsconsole")]
    environment = parse("\n".join(tables), "example").environments["prod"]
    assert (*environment.listmonk, *environment.serverless, *environment.backend) == ("lists", "bulk", "other")


def test_every_table_is_listed_with_its_keys() -> None:
    told = CliRunner().invoke(main, ["config", "keys"]).stdout
    for words in ("Listmonk: ", "  trust_schedule ", "Serverless: ", "  dead_letter_queue", "Backend: ", "  kind "):
        assert words in told


class Fax:
    """A backend of another package: as small as one can be, and it tells of itself."""

    def __init__(self, name: str, options: dict[str, Any], around: Surroundings) -> None:
        if options.get("line") == "none":
            raise Refused("There is no line", "Nothing can be faxed", "Order one")
        self.name, self.busy = name, options.get("line") == "busy"
        self.asked = 1 // int(options.get("rate", 1))

    def observe(self) -> Report:
        return Report(source=self.name, looked_at=NOW, fresh_for=timedelta(days=9999))

    def inspect(self) -> tuple[Told, ...]:
        if self.busy:
            raise OutOfReach("The line is busy.")
        return (Told(says="a line, 14,400 baud"), Told(says="no paper", ok=False), Told(says="old", warn=True))

    def close(self) -> None: ...


def nothing(name: str, options: dict[str, Any], around: Surroundings) -> None:
    return None


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "tests.test_systems"
    points = {"fax": "Fax", "none": "nothing", "gone": "Gone"}
    found = [EntryPoint(name, f"{here}:{value}", plugins.GROUP) for name, value in points.items()]
    found.append(EntryPoint("lost", "no_such_package.fax:Fax", plugins.GROUP))
    monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == plugins.GROUP else [])


def test_a_backend_of_another_package_is_found_by_its_kind() -> None:
    assert plugins.made("fax", Backend(kind="fax"), AROUND).name == "fax"


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("telex", {}, "No backend of the kind 'telex' is installed: installed are fax, gone, lost, none"),
        (
            "lost",
            {},
            "can't be imported: No module named 'no_such_package'.*Install what no_such_package.fax needs",
        ),
        ("none", {}, "gave no backend named 'mine'.*docs/backends.md"),
        ("gone", {}, "could not be made: AttributeError"),
        ("fax", {"rate": 0}, "could not be made: ZeroDivisionError.*Look at its options"),
        ("fax", {"line": "none"}, "There is no line. Nothing can be faxed. Order one."),
    ],
)
def test_one_that_cannot_be_had_says_what_to_do(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        plugins.made("mine", Backend(kind=kind, options=options), AROUND)


def test_in_the_place_of_a_system_that_cannot_be_had_stands_why() -> None:
    unbuilt = Unbuilt("fax", Refused("There is no line", "", "Order one"), lambda: NOW)
    report = unbuilt.observe()
    assert (report.trouble, report.out_of_reach_since) == ("There is no line. Order one.", NOW)
    with pytest.raises(Refused, match="no line"):
        unbuilt.inspect()


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[[str], tuple[int, list[dict[str, Any]]]]:
    def call(tables: str) -> tuple[int, list[dict[str, Any]]]:
        (tmp_path / "c.toml").write_text(f'data_dir = "{tmp_path / "data"}"\n{tables}')
        result = CliRunner().invoke(main, ["--config", str(tmp_path / "c.toml"), "doctor", "--json"])
        return result.exit_code, json.loads(result.stdout)

    return call


def test_doctor_says_of_each_system_what_it_has_and_lacks_and_why_one_cannot_be_had(doctor: Any) -> None:
    code, lines = doctor(
        """[environments.prod.backend.a]\nkind = "fax"
[environments.prod.backend.b]\nkind = "telex"
[environments.prod.backend.c]\nkind = "fax"\noptions = { line = "busy" }
"""
    )
    said = {name: [line for line in lines if line["what"] == name] for name in "abc"}
    assert code == 1
    assert [(line["says"], line["ok"], line.get("warn")) for line in said["a"]][1:] == [
        ("a line, 14,400 baud", True, False),
        ("no paper", False, False),
        ("old", True, True),
    ]
    assert [line["ok"] for line in said["b"]] == [False]
    assert "No backend of the kind 'telex'" in said["b"][0]["says"]
    assert said["c"][-1]["says"] == "The line is busy."


def test_config_check_names_the_systems_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(GOOD)
    said = CliRunner().invoke(main, ["--config", str(tmp_path / "c.toml"), "config", "check"]).stdout
    assert said.strip().endswith("environment prod: listmonk lists; serverless bulk; backend fax.")
