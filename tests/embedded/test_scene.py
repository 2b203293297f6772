"""The scene: alive at any hour, the same every time, and made of what its drills need."""

import csv
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.dashboard_rows import Rows, Tasks
from backends.embedded.campaigns import newsletter, people
from backends.embedded.campaigns.catalogue import FOREIGN, STALLED
from backends.embedded.scene import Paths, Scene, local_text
from opsconsole.campaign import MetadataError, is_slug, parse_metadata
from opsconsole.cron import read_cron
from opsconsole.observation import Observation, Says
from opsconsole.runlog import last_send
from opsconsole.schedule import Moment, latest_start, moment, resolve_due
from opsconsole.settings import Dashboard

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
GRACE, LATEST = timedelta(minutes=10), timedelta(hours=2)
HOURS = [
    day + timedelta(minutes=30 * step)
    for day in (
        datetime(2026, 5, 12, tzinfo=UTC),
        datetime(2026, 3, 29, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 31, tzinfo=UTC),
    )
    for step in range(48)
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = Scene(tmp_path_factory.mktemp("host"), NOW)
    scene.lay(smtp_port=2525)
    return scene


def told(scene: Scene) -> dict[str, Observation]:
    """The dashboard's side, as the console reads it."""
    rows = Rows("dashboard", Dashboard(url="http://127.0.0.1"), LATEST)
    tasks = Tasks(task for task in map(rows.read_task, scene.tasks()) if task)
    return {raw["slug"]: rows.read(raw["slug"], raw, tasks, NOW) for raw in scene.campaigns()}


def content(paths: Paths) -> dict[str, bytes]:
    return {str(p.relative_to(paths.campaigns)): p.read_bytes() for p in paths.campaigns.rglob("*") if p.is_file()}


def rows_of(scene: Scene, slug: str) -> list[dict[str, str]]:
    with (scene.paths.campaigns / slug / "blast_data.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_instant_gives_the_same_campaigns(scene: Scene, tmp_path: Path) -> None:
    again = Scene(tmp_path / "other", NOW)
    again.lay(smtp_port=2525)
    assert content(again.paths) == content(scene.paths)
    assert again.campaigns() == scene.campaigns()
    assert again.tasks() == scene.tasks()


def test_there_are_many_campaigns_and_one_folder_that_is_none(scene: Scene) -> None:
    folders = sorted(path.name for path in scene.paths.campaigns.iterdir())
    slugs = [story.slug for story in scene.stories]
    assert len(slugs) == len(set(slugs)) >= 30
    assert [name for name in folders if not is_slug(name)] == [FOREIGN]
    assert set(folders) - {FOREIGN} == {story.slug for story in scene.stories if story.rows is not None}


def test_the_metadata_is_sound_but_for_the_one_that_is_not(scene: Scene) -> None:
    broken = []
    for path in scene.paths.campaigns.glob("*/blast_metadata.json"):
        try:
            details = parse_metadata(path.read_bytes())
        except MetadataError:
            broken.append(path.parent.name)
        else:
            assert not details.problems
            assert not details.extra
            assert details.due
    assert broken == ["marina-map-update"]


def test_host_and_dashboard_agree_when_each_campaign_is_due(scene: Scene) -> None:
    for slug, observation in told(scene).items():
        assert observation.details.problems == ()
        metadata = scene.paths.campaigns / slug / "blast_metadata.json"
        if metadata.exists() and slug != "marina-map-update":
            due = parse_metadata(metadata.read_bytes()).due
            assert due
            assert observation.details.due == due


@pytest.mark.parametrize("now", HOURS, ids=str)
def test_at_any_hour_paul_simon_is_late_with_its_window_open_and_birthday_sail_is_too_late(now: datetime) -> None:
    scene = Scene(Path("/nonexistent"), now)
    by_slug = {story.slug: story for story in scene.stories}
    paul, birthday = by_slug["paul-simon-may12"], by_slug["birthday-sail-may11"]
    due = resolve_due(local_text(scene.instant(paul.due, paul), paul.zone), paul.zone)
    details = parse_metadata(scene._metadata(paul).encode())
    assert details.window
    closes = details.window.closing(now, due.tz)
    assert closes
    assert closes - now >= timedelta(hours=1)
    assert details.window.closing(due.instant, due.tz) == closes
    assert moment(due.instant, latest_start(due, details.window, LATEST), GRACE, now) is Moment.LATE
    details = parse_metadata(scene._metadata(birthday).encode())
    assert details.due
    assert (
        moment(details.due.instant, latest_start(details.due, details.window, LATEST), GRACE, now) is Moment.EXPIRED
    )


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/London", "Pacific/Auckland"])
def test_a_due_time_is_written_so_that_it_reads_back(zone: str, hour: int) -> None:
    for day in (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 10, 25, tzinfo=UTC),
        datetime(2026, 4, 4, tzinfo=UTC),
    ):
        for minute in (0, 30):
            instant = day + timedelta(hours=hour, minutes=minute)
            assert resolve_due(local_text(instant, zone), zone).instant == instant


def test_recipients_are_distinct_and_nobody_real(scene: Scene) -> None:
    for story in scene.stories:
        if story.rows and "blast_data.csv" not in story.without:
            addresses = [row["email"] for row in rows_of(scene, story.slug)]
            assert len(addresses) == len(set(addresses)) == story.rows
            assert all(address.isascii() and address.endswith("@example.com") for address in addresses)


def test_what_is_guarded_on_a_real_host_is_guarded_here(scene: Scene) -> None:
    paths = scene.paths
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (paths.credentials, paths.cron, paths.runner)}
    assert modes == {paths.credentials: 0o600, paths.cron: 0o644, paths.runner: 0o755}


def test_cron_reads_every_line_of_the_table(scene: Scene) -> None:
    table = read_cron(str(scene.paths.cron), scene.paths.cron.read_bytes(), mode=0o644)
    assert table.ignored_because == ""
    assert table.warnings == ()
    assert len(table.lines) == 1 + sum(len(story.cron) for story in scene.stories)
    assert all(line.enabled for line in table.lines)


def test_logs_tell_what_became_of_each_run(scene: Scene) -> None:
    def word(slug: str) -> tuple[bool, int | None, int | None]:
        progress = last_send((scene.paths.logs / f"{slug}.log").read_bytes())
        assert progress
        counts = progress.counts
        return progress.ended, counts.total if counts else None, counts.failed if counts else None

    assert word("lighthouse-tour") == (True, 644, 0)
    assert word("moonlight-concert") == (True, 1204, 14)
    assert word("oyster-festival") == (True, 1508, 0)
    assert word("boat-show-tickets")[0] is False
    assert last_send((scene.paths.logs / "tall-ships-preview.log").read_bytes()) is None
    assert not (scene.paths.logs / "paul-simon-may12.log").exists()
    assert not (scene.paths.logs / "birthday-sail-may11.log").exists()


def test_run_folders_show_how_far_each_run_came(scene: Scene) -> None:
    marks = ("claim.json", "started", "finished")
    folders = {path.parent.name: path for path in scene.paths.runs.glob("*/1")}
    assert {slug: [mark for mark in marks if (path / mark).exists()] for slug, path in folders.items()} == {
        "harbor-lights-jul": [*marks],
        "client-letter-r1": [*marks],
        "client-letter-r2": [*marks],
        "lighthouse-tour": [*marks],
        "sailing-school-spring": [*marks],
        "museum-night": [*marks],
        "moonlight-concert": [*marks],
        "rope-and-rigging": [*marks],
        "boat-show-tickets": ["claim.json", "started"],
        STALLED: ["claim.json", "started"],
        "volunteer-call": ["claim.json"],
    }
    claim = json.loads((folders["lighthouse-tour"] / "claim.json").read_text())
    assert len(claim["run_id"]) == 16
    assert claim["slug"] == "lighthouse-tour"


def test_the_drills_find_what_they_need(scene: Scene) -> None:
    dashboard = told(scene)
    paul = dashboard["paul-simon-may12"]
    assert paul.approval
    assert (paul.approval.reference, paul.approval.recipients) == ("t-9a8cae17", 2601)
    assert len(rows_of(scene, "paul-simon-may12")) == 2601
    assert len(rows_of(scene, "birthday-sail-may11")) == 1204
    brunch = dashboard["crew-brunch-invite"]
    assert brunch.approval
    assert (brunch.approval.recipients, len(rows_of(scene, "crew-brunch-invite"))) == (412, 413)
    refit = scene.paths.campaigns / "spring-refit-offer/blast_template.html"
    assert "{{ frist_name }}" in refit.read_text()
    odd = rows_of(scene, "tall-ships-preview")
    assert any(row["city"].startswith("=HYPERLINK(") for row in odd)
    assert any("\n" in row["first_name"] for row in odd)
    metadata = json.loads((scene.paths.campaigns / "tall-ships-preview/blast_metadata.json").read_text())
    assert metadata["subject"].startswith("[Sale] [/today]")
    assert dashboard["island-ferry-news"].says is Says.SENT
    assert dashboard["museum-night"].says is Says.NOTHING


def test_the_newsletter_is_as_large_as_newsletters_are() -> None:
    html = newsletter.html("Title", "Lead.")
    assert 9_000 < len(html) < 15_000
    row = next(people.people("seed", 1))
    assert all(f"{{{{ {name}" in html for name in ("first_name", "city", "member_since", "voucher", "email"))
    assert set(row) == set(people.COLUMNS)


def test_a_naive_instant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aware"):
        Scene(tmp_path, datetime(2026, 5, 12))
