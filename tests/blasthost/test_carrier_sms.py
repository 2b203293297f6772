"""A campaign of text messages from the console: rehearsed, planned, started and counted like any other."""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.launcher import Launcher
from backends.blasthost.rehearsal import dry_run
from backends.blasthost.session import HostSession
from opsconsole.observation import Counts
from opsconsole.policy import Policy
from tests.support.blasthost import SLUG, BlastTree, ended
from tests.support.sms_gateway import ACCOUNT, SECRET, Gateway

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.slow]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.stop()


def test_rehearsed_sent_and_counted(session: HostSession, tree: BlastTree, gateway: Gateway) -> None:
    folder = tree.campaign(recipients=1)
    numbers = [f"+447700900{row:03d}" for row in range(20)]
    (folder / "blast_template.html").unlink()
    (folder / "blast_template.txt").write_text("{{ name }}, 20 € off. Reply STOP to end.")
    (folder / "blast_data.csv").write_text("phone,name\n" + "".join(f"{number},Ann\n" for number in numbers))
    (folder / "blast_metadata.json").write_text(json.dumps({"name": "May", "channel": "sms"}))
    credentials = tree.root / "credentials"
    credentials.write_text(
        f"[sms]\nkind = twilio\nurl = {gateway.url}\naccount = {ACCOUNT}\nsecret = {SECRET}\nfrom = +442079460100\n"
    )
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    assert runner
    settings = tree.settings_with(runner=runner)

    rehearsal = dry_run(session, settings, "blast-test", SLUG, lambda data: None, threading.Event())
    assert rehearsal.ok, rehearsal.troubles
    assert (rehearsal.audience, gateway.posts) == (20, 0)

    launch = Launcher(session, settings, Policy(), "blast-test")
    plan = tree.plan(digests=rehearsal.digests, audience=rehearsal.audience)
    assert launch.start(plan, by="mara").fresh
    assert ended(launch).word.counts == Counts(total=20, accepted=20)
    assert gateway.recipients() == dict.fromkeys(numbers, 1)
