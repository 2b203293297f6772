"""The configuration: every mistake is named with its line and the word that was probably meant."""

from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.config import EXAMPLE, ConfigError, duration, load, parse

GOOD = """\
[operator]
role = "approver"

[environments.prod]
label = "PROD"

[environments.prod.blasthost.blast-mail-prod]
ssh = "ops@203.0.113.7:2222"
patterns = { processed = "done: ([0-9]+)" }

[environments.prod.policy]
start_grace = "15 min"
"""


def test_the_example_and_a_good_file_are_taken(tmp_path: Path) -> None:
    assert "prod" in parse(EXAMPLE, "example").environments
    file = tmp_path / "config.toml"
    file.write_text(GOOD)
    loaded = load(file)
    assert loaded.policy.start_grace == timedelta(minutes=15)
    assert loaded.environment.blasthost["blast-mail-prod"].patterns.processed == "done: ([0-9]+)"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('role = "approver"', 'rolle = "approver"', "c.toml:2: unknown key 'operator.rolle'; did you mean 'role'?"),
        ('role = "approver"', 'role = "boss"', "c.toml:2: operator.role: must be one of viewer, operator"),
        (
            "ssh =",
            "sssh =",
            "c.toml:8: unknown key 'environments.prod.blasthost.blast-mail-prod.sssh'; did you mean",
        ),
        (
            'ssh = "ops@203.0.113.7:2222"',
            "",
            "c.toml:7: environments.prod.blasthost.blast-mail-prod needs the key 'ssh'",
        ),
        ('"15 min"', '"soon"', "c.toml:12: environments.prod.policy.start_grace: 'soon' is not a span of time"),
        ('"15 min"', "15", "c.toml:12: environments.prod.policy.start_grace: expected `str`"),
        ("([0-9]+)", "([0-9+", "patterns.processed is no regular expression"),
        (
            "[environments.prod.policy]",
            "[environments.prod.polcy]",
            "c.toml:11: unknown key 'environments.prod.polcy'",
        ),
        ("blast-mail-prod]", "Blast]", "can't name a host"),
        ("[operator]", "[operator", "this is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(old, new), "c.toml")
    assert says in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace("role", "rolle").replace("ssh", "sshh"), "c.toml")
    assert len(caught.value.problems) == 3


def test_no_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="opsconsole demo"):
        load(tmp_path / "none.toml")


def test_several_environments_ask_which(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(GOOD + "\n[environments.stage]\n")
    with pytest.raises(ConfigError, match="--env"):
        load(file)
    assert load(file, "stage").name == "stage"
    with pytest.raises(ConfigError, match="did you mean 'stage'"):
        load(file, "stge")


@pytest.mark.parametrize(
    ("text", "seconds"), [("45 s", 45), ("30min", 1800), ("2 h", 7200), ("1.5 h", 5400), ("1 d", 86400)]
)
def test_spans(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "five min", "-5 s", "5 weeks"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="not a span"):
        duration(text)
