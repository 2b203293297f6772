"""The campaign screen: verdict, evidence in order, files, what a recipient would get, timeline."""

from pathlib import Path

import pytest

from screens.campaign import CampaignScreen
from tests.screens.hands import type_text
from tests.screens.stage import COLUMNS, NASTY, SLUG, Stage, rows, screen_text, until

SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("size", SIZES)
async def test_the_verdict_and_its_evidence_come_first(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.open(size) as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await until(pilot, lambda: "approved by ana (t-9a8cae17)" in screen_text(pilot))
        text = screen_text(pilot)
        assert "OVERDUE" in text
        assert "Next: [p] pre-flight" in text
        assert text.index("approved by ana") < text.index("latest start")


@pytest.mark.slow
async def test_text_from_outside_is_only_text_in_every_part(stage: Stage) -> None:
    stage.host.subject = NASTY
    stage.host.extra = {"colour": NASTY, NASTY: 1}
    stage.host.data = COLUMNS + f'anna@example.com,"{NASTY}",Paris\n'
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        parts = {"1": "host cron", "2": "colour", "3": "control character", "4": "seen at this instant"}
        for key, wanted in parts.items():
            await pilot.press(key)
            await until(pilot, lambda wanted=wanted: wanted in screen_text(pilot))
            text = screen_text(pilot)
            assert "\x1b" not in text
            assert "\u202e" not in text
            if key != "4":
                assert "[Sale] [/today] \\x1b[2Jgone" in text


async def test_the_files_are_shown_with_digest_rows_and_unknown_keys(stage: Stage) -> None:
    stage.host.extra = {"tracking_pixel": {"on": True}}
    async with stage.open() as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("2")
        await until(pilot, lambda: stage.host.digests()["blast_data.csv"][:12] in screen_text(pilot))
        text = screen_text(pilot)
        assert "3 rows" in text
        assert "changed 2 h ago" in text
        assert "tracking_pixel" in text


@pytest.mark.slow
async def test_the_mail_of_any_recipient_can_be_read(stage: Stage) -> None:
    stage.host.data = rows(50)
    async with stage.open() as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("3")
        await until(pilot, lambda: "Dear Anna 1," in screen_text(pilot))
        assert "Events <e•••@example.com>" in screen_text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "Dear Anna 2," in screen_text(pilot))
        await pilot.press("b")
        await until(pilot, lambda: "Dear Anna 1," in screen_text(pilot))
        await pilot.press("g")
        await type_text(pilot, "47")
        await pilot.press("enter")
        await until(pilot, lambda: "Dear Anna 47," in screen_text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "<p>Dear Anna 47,</p>" in screen_text(pilot))
        await pilot.press("g")
        await type_text(pilot, "9000")
        await pilot.press("enter")
        await until(pilot, lambda: "recipient 50" in screen_text(pilot))


@pytest.mark.slow
async def test_a_recipients_address_is_masked_until_showing_it_is_recorded(stage: Stage) -> None:
    async with stage.open() as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("3")
        await until(pilot, lambda: "a•••@example.com" in screen_text(pilot))
        assert "anna1@" not in screen_text(pilot)
        await pilot.press("v")
        await until(pilot, lambda: "anna1@example.com" in screen_text(pilot))
        assert [record.campaign for record in stage.records("reveal")] == [SLUG]


async def test_when_it_can_not_be_recorded_the_address_stays_masked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(what: str, slug: str = "") -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(stage.console, "reveal", full)
    async with stage.open() as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("3")
        await until(pilot, lambda: "a•••@example.com" in screen_text(pilot))
        await pilot.press("v")
        await until(pilot, lambda: "could not be recorded" in screen_text(pilot))
        assert "anna1@" not in screen_text(pilot)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("<p>{{ frist_name }}</p>", "did you mean first_name"),
        ("<p>{% if %}</p>", "blast_template.html line 1"),
        ("{% for a in range(99999999) %}{% for b in range(99999999) %}x{% endfor %}{% endfor %}", "✖"),
    ],
)
async def test_a_template_that_can_not_be_rendered_says_why(stage: Stage, html: str, wanted: str) -> None:
    stage.host.html = html
    async with stage.open() as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("3")
        await until(pilot, lambda: wanted in screen_text(pilot), seconds=30)


@pytest.mark.parametrize("size", SIZES)
async def test_the_timeline_shows_what_was_done_about_it(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.open(size) as pilot:
        stage.console.decide("hold", SLUG, "wait for the lawyers")
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("4")
        await until(pilot, lambda: "wait for the lawyers" in screen_text(pilot))
        text = screen_text(pilot)
        assert "mara: held: nobody may send" in text
        assert text.index("held: nobody") < text.index("seen at this instant"), "the newest is in sight"
