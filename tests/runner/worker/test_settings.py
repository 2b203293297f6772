"""How a worker is set: by the environment and the command line, judged by the same rules."""

import subprocess
import sys

import pytest

from runner import cli
from runner.channel.port import ServerRefusesUs
from runner.errors import CONFIG, Refused
from runner.settings import Smtp
from runner.worker.command import regional
from runner.worker.senders import smtp_account
from runner.worker.settings import from_environment
from runner.worker.steps import Tables

KNOWN = Smtp("smtp.example.com", 587, "starttls", "blast", "secret")


def test_the_environment_says_what_the_command_line_would() -> None:
    found = from_environment(
        {
            "MAIL_BLAST_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q",
            "MAIL_BLAST_THREADS": "3",
            "MAIL_BLAST_RATE": "0.5",
            "MAIL_BLAST_CONTACTS_TABLE": "People",
            "MAIL_BLAST_STALE_AFTER": "60",
        }
    )

    assert (found.threads, found.rate, found.stale_seconds, found.channel) == (3, 0.5, 60, "")
    assert found.tables == Tables(contacts="People")
    assert regional(found).region == "eu-west-1"
    assert from_environment({}).rate is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("CHANNEL", "fax"), ("THREADS", "0"), ("RATE", "-1"), ("RATE", "fast"), ("STALE_AFTER", "0")],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Refused, match=f"MAIL_BLAST_{name}") as refused:
        from_environment({f"MAIL_BLAST_{name}": value})

    assert refused.value.code == CONFIG


def test_every_worker_has_a_name_of_its_own() -> None:
    assert from_environment({}).name != from_environment({}).name


def test_a_login_goes_to_its_own_server_alone() -> None:
    assert smtp_account({"smtp_server": "smtp.example.com", "smtp_port": 587}, KNOWN) is KNOWN
    assert smtp_account({}, KNOWN) is KNOWN
    other = smtp_account({"smtp_server": "other.example.com", "smtp_port": 587}, KNOWN)
    assert (other.tls, other.username, other.password) == ("starttls", None, None)
    assert smtp_account({"smtp_server": "other.example.com"}, KNOWN).tls == "none"
    with pytest.raises(ServerRefusesUs):
        smtp_account({}, None)
    with pytest.raises(ServerRefusesUs):
        smtp_account({"smtp_server": "smtp.example.com", "smtp_port": "many"}, None)


def test_without_boto3_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    assert cli.main(["worker", "--queue", "https://sqs.eu-west-1.amazonaws.com/1/q"]) == CONFIG
    assert "pip install 'opsconsole[aws]'" in capfd.readouterr().err


def test_without_a_queue_it_is_wrong_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["worker"]) == 2
    assert "--queue" in capfd.readouterr().err


@pytest.mark.slow
def test_nobody_else_loads_boto3() -> None:
    code = "import sys, runner.cli, runner.launch, runner.worker.engine; print('boto3' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
