"""Bad input at a cold start: each has its clear error, and everything else on the board goes on working."""

import json
from collections.abc import Callable

import pytest

from backends.embedded.world import HOST
from tests.support.sshd import free_port, make_key
from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

GOOD, BAD = "paul-simon-may12", "fleet-week-parking"


def unreached(world: RealWorld) -> str:
    """The host's trouble, after checking that all others go on: the dashboard's word on every campaign is there."""
    board = world.command("board", "--json")
    assert board.code == 4
    sources = {source["name"]: source for source in board.json["sources"]}
    assert sources["dashboard"]["fresh"]
    assert sources["console"]["fresh"]
    told = {row["slug"]: row["status"] for row in board.json["campaigns"]}
    assert told[GOOD] == "UNKNOWN"
    assert told["regatta-parking"] == "CANCELLED"
    assert world.command("hold", GOOD, "--reason", "nobody sends blind").code == 0
    assert not sources[HOST]["fresh"]
    trouble: str = sources[HOST]["trouble"]
    return trouble


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("campaigns_dir", "campaign_dir", ("unknown key", "did you mean 'campaigns_dir'")),
        ("danger = false", 'danger = "no"', ("danger",)),
        ('refresh_every = "5 s"', 'refresh_every = "5 parsecs"', ("5 parsecs", "45 s")),
        ("[environments.demo.dashboard]", "[environments.demo.dashbord]", ("unknown key", "'dashboard'")),
        ("[environments.demo]", "[environments.demo", ("TOML",)),
    ],
    ids=["key", "kind", "span", "table", "syntax"],
)
def test_a_wrong_configuration_names_its_file_and_line(
    world: RealWorld, old: str, new: str, words: tuple[str, ...]
) -> None:
    line = next(n for n, text in enumerate(world.config_path.read_text().splitlines(), 1) if old in text)
    world.configure(old, new)

    for args in (("board",), ("send", GOOD, "--plan", "0" * 12), ("config", "check")):
        said = world.command(*args)
        assert said.code == 2
        assert str(world.config_path) in said.err
        for word in (*words, str(line)):
            assert word in said.err
        assert "Traceback" not in said.err


def test_no_configuration_at_all_says_how_to_get_one(world: RealWorld) -> None:
    world.config_path.unlink()

    said = world.command("board")

    assert said.code == 2
    assert "opsconsole config init" in said.err
    assert "opsconsole demo" in said.err


def test_a_host_that_is_not_there(world: RealWorld) -> None:
    world.reach(free_port())

    trouble = unreached(world)

    assert "refused" in trouble.lower()
    assert "127.0.0.1" in trouble


def test_a_key_the_host_refuses(world: RealWorld) -> None:
    other = world.config_path.parent / "other"
    make_key(other)
    (world.config_path.parent / "id_ed25519").write_bytes(other.read_bytes())

    trouble = unreached(world)

    for words in ("key", world.server.user):
        assert words in trouble


def test_a_host_key_nobody_knows(world: RealWorld) -> None:
    (world.config_path.parent / "known_hosts").write_text("")

    trouble = unreached(world)

    for words in ("is not known", world.server.fingerprint, "opsconsole host trust"):
        assert words in trouble


def test_a_host_named_by_its_address_can_be_trusted_by_the_command_as_printed(world: RealWorld) -> None:
    (world.config_path.parent / "known_hosts").write_text("")
    world.configure(f'ssh = "{HOST}"', f'ssh = "{world.server.user}@127.0.0.1:{world.server.port}"')
    trouble = unreached(world)
    command = trouble[trouble.index("opsconsole host trust") :].rstrip(".").split()

    assert world.command(*command[1:]).code == 0
    assert world.command("release", GOOD, "--reason", "the host is seen again").code == 0
    assert world.spoken(GOOD)["status"] == "OVERDUE"


def empty_csv(world: RealWorld) -> None:
    (world.campaign(BAD) / "blast_data.csv").write_bytes(b"")


def header_only(world: RealWorld) -> None:
    path = world.campaign(BAD) / "blast_data.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")


def malformed_metadata(world: RealWorld) -> None:
    (world.campaign(BAD) / "blast_metadata.json").write_text('{"name": "x",, }')


def no_folder(world: RealWorld) -> None:
    world.campaign(BAD).rename(world.root / "away")


def no_template(world: RealWorld) -> None:
    (world.campaign(BAD) / "blast_template.html").unlink()


def unknown_zone(world: RealWorld) -> None:
    path = world.campaign(BAD) / "blast_metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "timezone": "Mars/Olympus"}))


SPOILED: dict[str, tuple[Callable[[RealWorld], None], str, str]] = {
    "missing-folder": (no_folder, "folder-there", "folder"),
    "missing-template": (no_template, "files-there", "blast_template.html"),
    "empty-csv": (empty_csv, "csv-well-formed", "empty"),
    "nobody-in-the-csv": (header_only, "count-expected", "0"),
    "malformed-metadata": (malformed_metadata, "metadata-valid", "blast_metadata.json"),
    "unknown-zone": (unknown_zone, "metadata-valid", "Mars/Olympus"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_campaign_is_named_and_spoils_no_other(world: RealWorld, name: str) -> None:
    spoil, check, words = SPOILED[name]
    before = {row["slug"]: row["status"] for row in world.command("board", "--json").json["campaigns"]}
    spoil(world)

    after = {row["slug"]: row["status"] for row in world.command("board", "--json").json["campaigns"]}
    assert {slug: status for slug, status in after.items() if slug != BAD} == {
        slug: status for slug, status in before.items() if slug != BAD
    }
    assert "ERROR" not in after.values()
    assert any(f["severity"] == "block" for f in world.spoken(BAD)["findings"])

    checks = world.command("preflight", BAD, "--json")
    assert checks.code == 1
    result = next(row for row in checks.json["results"] if row["check_id"] == check)
    assert result["blocks"]
    assert words in " ".join([result["says"], *result["evidence"], result["remedy"]])
    assert result["remedy"]
    assert world.command("dry-run", BAD, "--json").code == 1
    assert world.command("preflight", GOOD).code == 0


def test_a_cron_file_that_cannot_be_read(world: RealWorld) -> None:
    world.paths.cron.unlink()
    world.paths.cron.symlink_to(world.root / "nowhere")

    board = world.command("board", "--json").json

    assert {row["slug"]: row["status"] for row in board["campaigns"]}[GOOD] == "OVERDUE"
    (table,) = world.command("host", "cron", "--json").json
    assert table["ignored_because"]
