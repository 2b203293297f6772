"""The embedded host's cron lines can be looked at, switched off and on, as on any host."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from backends.embedded.world import World
from opsconsole.cli import main

pytestmark = pytest.mark.slow

SLUG = "harbor-lights-jul"


def test_the_line_that_fires_again_is_switched_off_and_on_over_the_embedded_host() -> None:
    with World() as world:

        def said(*args: str) -> Any:
            result = CliRunner().invoke(main, ["--config", str(world.config_path), *args, "--json"])
            assert result.exit_code == 0, result.output
            return json.loads(result.stdout)

        before = world.paths.cron.read_bytes()
        (trigger,) = said("trigger", "show", SLUG)["triggers"]
        assert trigger["live"]
        assert trigger["can_switch"]
        (table,) = said("host", "cron")
        (line,) = [line for line in table["lines"] if line["campaigns"] == [SLUG]]
        assert line["where"] == trigger["where"]
        assert {"fires-again", "yearly"} <= {note["code"] for note in line["notes"]}
        assert "orphan" in {note["code"] for other in table["lines"] for note in other["notes"]}

        asked = ("--reason", "it was sent by hand", "--confirm", f"{SLUG} 830")
        off = said("trigger", "off", SLUG, *asked)
        assert (off["line"], off["left"]) == (trigger["where"], [])
        said("trigger", "on", SLUG, *asked)
        assert world.paths.cron.read_bytes() == before
        assert not world.sent_to()
