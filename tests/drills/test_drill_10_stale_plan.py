"""Drill 10: something changed after the dry run. The plan is stale, and says which part, with both values."""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from opsconsole.console import Console
from opsconsole.plan import Plan
from opsconsole.ports import Refused, Started
from tests.support.world import RealWorld, forbidding, rehearse

SLUG = "fleet-week-parking"
AUDIENCE = 377


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:12]


def edit_template(folder: Path) -> None:
    path = folder / "blast_template.html"
    path.write_text(path.read_text().replace("Where to park", "Where not to park").replace("Dear", "Hello"))


def add_row(folder: Path) -> None:
    with (folder / "blast_data.csv").open("a", encoding="utf-8", newline="") as file:
        file.write("one.more@example.com,One,More,Avalon,2020,AAAAAA\r\n")


def edit_metadata(folder: Path) -> None:
    path = folder / "blast_metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "subject": "Another subject"}))


EDITS = {
    "blast_template.html": edit_template,
    "blast_data.csv": add_row,
    "blast_metadata.json": edit_metadata,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if number else ()) for number, name in enumerate(EDITS)]
)
def test_an_edit_after_the_dry_run_makes_the_plan_stale(world: RealWorld, name: str) -> None:
    path = world.campaign(SLUG) / name
    before = digest(path)
    with world.console() as console:
        assert not forbidding(rehearse(console, SLUG)[0])
        plan = console.plan(SLUG)
        EDITS[name](world.campaign(SLUG))

        with pytest.raises(Refused) as refused:
            console.send(plan, plan.phrase)

        for words in (name, before, digest(path)):
            assert words in str(refused.value)
        if name == "blast_data.csv":
            assert "377" in str(refused.value)
            assert "378" in str(refused.value)
        assert console.run_state(SLUG) is None
        assert not console.store().search(campaign=SLUG, action="send")
    assert not world.sent_to()


def edit_just_before_the_start(console: Console, monkeypatch: pytest.MonkeyPatch, edit: Callable[[], None]) -> None:
    """The console has looked and found nothing; then somebody saves the file; then the launcher runs."""
    carrier = console.carrier_of(SLUG)
    start = carrier.start

    def late(plan: Plan, by: str) -> Started:
        edit()
        return start(plan, by)

    monkeypatch.setattr(carrier, "start", late)


@pytest.mark.slow
def test_the_host_itself_refuses_what_changed_in_the_last_moment(
    world: RealWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.campaign(SLUG) / "blast_template.html"
    before = digest(path)
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
        edit_just_before_the_start(console, monkeypatch, lambda: edit_template(path.parent))

        with pytest.raises(Refused) as refused:
            console.send(plan, plan.phrase)

        for words in ("stale", "blast_template.html", before, digest(path)):
            assert words in str(refused.value)
        records = console.store().search(campaign=SLUG, action="send")
        assert {record.detail.get("result") for record in records} >= {"not-started"}
        assert console.store().unresolved() == []
    assert not world.sent_to()


@pytest.mark.slow
def test_an_edit_that_keeps_size_and_time_is_noticed_too(world: RealWorld) -> None:
    path = world.campaign(SLUG) / "blast_template.html"
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
        stat = path.stat()
        path.write_text(path.read_text().replace("Dear", "Ahoi"))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert path.stat().st_size == stat.st_size

        with pytest.raises(Refused, match=r"blast_template\.html"):
            console.send(plan, plan.phrase)
    assert not world.sent_to()


@pytest.mark.slow
def test_one_more_row_than_was_approved(world: RealWorld) -> None:
    slug = "crew-brunch-invite"
    told = world.spoken(slug)
    texts = [finding["text"] for finding in told["findings"] if finding["code"] == "count-mismatch"]
    assert any("413" in text and "412" in text for text in texts)

    with world.console() as console:
        blocking = forbidding(rehearse(console, slug)[0])
        assert {"count-expected", "count-approved"} <= set(blocking)
        for check in ("count-expected", "count-approved"):
            assert "413" in blocking[check].says
            assert "412" in blocking[check].says
            assert blocking[check].remedy
        with pytest.raises(Refused):
            console.plan(slug)
    assert not world.sent_to()


@pytest.mark.slow
def test_an_undefined_variable_names_its_file_and_line(world: RealWorld) -> None:
    slug = "spring-refit-offer"
    template = (world.campaign(slug) / "blast_template.html").read_text().splitlines()
    line = next(number for number, text in enumerate(template, 1) if "frist_name" in text)

    with world.console() as console:
        results, _ = rehearse(console, slug)
        blocking = forbidding(results)
        said = (
            " ".join([blocking["template-variables"].says, *blocking["template-variables"].evidence])
            + blocking["template-variables"].remedy
        )
        for words in ("frist_name", "first_name", "blast_template.html", str(line)):
            assert words in said
        rehearsal = console.last_dry_run(slug)
        assert rehearsal is not None
        assert not rehearsal.ok
        assert any("frist_name" in trouble for trouble in rehearsal.troubles)
        with pytest.raises(Refused):
            console.plan(slug)
    assert not world.sent_to()
