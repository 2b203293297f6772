"""Drill 8: sent by hand this morning; the cron line is still there and fires again this afternoon."""

from pathlib import Path

import pytest

from opsconsole.verdict import Status
from tests.support.operator import before_the_screens
from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

SLUG = "harbor-lights-jul"
WHY = "ben sent it by hand this morning"


def phrase(world: RealWorld) -> str:
    return f"{SLUG} {world.spoken(SLUG)['audience']}"


def line_number(world: RealWorld) -> int:
    return next(n for n, text in enumerate(world.paths.cron.read_text().splitlines(), 1) if SLUG in text)


def codes(world: RealWorld) -> set[str]:
    return {finding["code"] for finding in world.spoken(SLUG)["findings"]}


def only_that_line_changed(before: str, after: str, number: int) -> bool:
    old, new = before.splitlines(), after.splitlines()
    rest = [(a, b) for n, (a, b) in enumerate(zip(old, new, strict=True), 1) if n != number]
    return new[number - 1].endswith(old[number - 1]) and all(a == b for a, b in rest)


def test_it_was_sent_and_still_needs_somebody(world: RealWorld) -> None:
    line = line_number(world)

    told = world.spoken(SLUG)

    assert (told["status"], told["group"]) == ("SENT", "Needs attention")
    again = next(finding for finding in told["findings"] if finding["code"] == "fires-again")
    assert again["severity"] == "block"
    assert f"{world.paths.cron}:{line} fires again" in again["text"]
    host = next(source for source in told["sources"] if source["triggers"])
    assert host["triggers"][0]["next_fire"]
    assert told["next"][:2] == ["trigger-off", "host"]


def test_it_cannot_be_sent_again_and_the_host_shows_the_line(world: RealWorld) -> None:
    checks = world.command("preflight", SLUG, "--json")
    blocking = {row["check_id"] for row in checks.json["results"] if row["outcome"] == "fail"}
    assert {"not-already-sent"} <= blocking

    rehearsal = world.command("dry-run", SLUG, "--json").json
    assert rehearsal["plan"] is None
    assert "never twice" in rehearsal["no_plan_because"]

    (table,) = world.command("host", "cron", "--json").json
    assert table["ignored_because"] == ""
    (line,) = [line for line in table["lines"] if SLUG in line["command"]]
    assert line["next"]
    assert not world.sent_to()


def test_the_line_is_switched_off_by_command_proven_and_taken_back(world: RealWorld) -> None:
    before, number = world.paths.cron.read_text(), line_number(world)
    mode = world.paths.cron.stat().st_mode

    hasty = world.command("trigger", "off", SLUG, "--reason", WHY)
    assert (hasty.code, world.paths.cron.read_text()) == (2, before)
    assert phrase(world) in hasty.err

    off = world.command("trigger", "off", SLUG, "--reason", WHY, "--confirm", phrase(world), "--json")

    assert off.code == 0, off.err
    assert (off.json["line"], off.json["left"], off.json["status"]) == (f"{world.paths.cron}:{number}", [], "SENT")
    assert only_that_line_changed(before, world.paths.cron.read_text(), number)
    assert world.paths.cron.stat().st_mode == mode
    told = world.spoken(SLUG)
    assert told["group"] == "Done"
    assert "fires-again" not in codes(world)
    (trigger,) = world.command("trigger", "show", SLUG, "--json").json["triggers"]
    assert (trigger["live"], trigger["off"]) == (False, True)
    assert "switched off by" in trigger["ignored_because"]
    kept = Path(off.json["undo"].rpartition("cp ")[2].split()[0].strip("'"))
    assert kept.read_text() == before
    assert world.paths.cron.parent not in kept.parents

    again = world.command("trigger", "off", SLUG, "--reason", WHY, "--confirm", phrase(world))
    assert again.code == 3
    assert "no trigger that can be switched off" in again.err
    actions = world.command("audit", "search", "--campaign", SLUG, "--json").json
    assert {"trigger-off"} <= {record["action"] for record in actions}

    on = world.command("trigger", "on", SLUG, "--reason", "wrong line", "--confirm", phrase(world))

    assert on.code == 0, on.err
    assert world.paths.cron.read_text() == before
    assert "fires-again" in codes(world)
    assert not world.sent_to()


def test_with_several_lines_the_one_that_is_meant_has_to_be_named(world: RealWorld) -> None:
    text, number = world.paths.cron.read_text(), line_number(world)
    world.paths.cron.write_text(text + text.splitlines()[number - 1] + "\n")
    last = len(text.splitlines()) + 1

    vague = world.command("trigger", "off", SLUG, "--reason", WHY, "--confirm", phrase(world))
    assert vague.code == 2
    assert f"{world.paths.cron}:{number}, {world.paths.cron}:{last}" in vague.err

    where = f"{world.paths.cron}:{last}"
    off = world.command(
        "trigger", "off", SLUG, "--line", where, "--reason", WHY, "--confirm", phrase(world), "--json"
    )

    assert off.json["left"] == [f"{world.paths.cron}:{number}"]
    assert "fires-again" in codes(world)
    assert world.paths.cron.read_text().startswith(text)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=str)
async def test_three_keys_from_a_cold_start_show_it_and_ask(world: RealWorld, size: tuple[int, int]) -> None:
    """It is found on the board, its line read, and the key asks; what follows is the question's two steps."""
    before, number = world.paths.cron.read_text(), line_number(world)
    async with before_the_screens(world, size) as operator:
        await operator.finds(SLUG)
        # A path as long as a test's has no room on a small screen; there the step alone says it.
        await operator.sees("SENT", "[F]", *(("fires again",) if size[0] > 80 else ()))
        await operator.press("F")
        await operator.sees("Switch trigger off", f":{number}", "a copy is kept")
        await operator.confirms(phrase(world), WHY)
        await operator.sees("Switched off")
        await operator.is_told(SLUG, Status.SENT)

        def over() -> bool:
            verdict = operator.app.get(SLUG)
            return verdict is not None and "fires-again" not in {finding.code for finding in verdict.findings}

        await operator.until(over)  # the board is put together anew after the outcome is on record
        await operator.press("F")
        await operator.sees("No trigger of it could start it")
    assert only_that_line_changed(before, world.paths.cron.read_text(), number)
    assert not world.sent_to()


async def test_with_several_lines_the_screen_lets_one_choose(world: RealWorld) -> None:
    text, number = world.paths.cron.read_text(), line_number(world)
    world.paths.cron.write_text(text + text.splitlines()[number - 1] + "\n")
    async with before_the_screens(world) as operator:
        await operator.finds(SLUG)
        await operator.press("F")
        await operator.sees(f"Switch which trigger of {SLUG} off?", f":{number}  ")
        await operator.press("escape")
        await operator.press("F")
        await operator.sees("Switch which trigger")
        await operator.press("down", "enter")
        await operator.sees("Switch trigger off", f":{len(text.splitlines()) + 1}")
        await operator.press("escape")
    assert world.paths.cron.read_text().startswith(text)
