"""The same over a real SSH server: a claim is released, a broken run is mended, a hold is put and taken away."""

import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.blasthost.doubts import Doubter
from backends.blasthost.holds import ALL, put_hold
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from backends.blasthost.session import HostSession
from backends.embedded.journals import IN_FLIGHT, write_journal
from opsconsole.observation import Hold, Says
from opsconsole.policy import Policy
from opsconsole.ports import Fate, Refused
from tests.support.blasthost import SLUG, BlastTree, ended
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.needs("sshd")

ROWS, DONE = 40, 20


def claim(tree: BlastTree) -> str:
    run_id = hashlib.sha256(b"a claim").hexdigest()[:16]
    folder = tree.run_folder()
    folder.mkdir(parents=True)
    text = json.dumps({"run_id": run_id, "slug": SLUG, "attempt": 1, "by": "mara", "at": "2026-05-12T17:52:00Z"})
    (folder / "claim.json").write_text(text)
    return run_id


def test_a_claim_is_released_and_a_hold_refuses_the_next_start(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=3)
    run_id = claim(tree)
    mend = Mender(session, tree.settings, Policy(), "blast-test")
    launch = Launcher(session, tree.settings, Policy(), "blast-test")
    assert mend.release(SLUG, 1, run_id, "ana", "nobody was there").says is Says.NOTHING

    put_hold(session, tree.settings, "blast-test", ALL, Hold(scope=ALL, by="ana", at=None, reason="the network"))
    plan = tree.plan(audience=3, attempt=2)
    with pytest.raises(Refused, match=r"holds everything: .*the network"):
        launch.start(plan, by="mara")
    put_hold(session, tree.settings, "blast-test", ALL, None)
    assert launch.start(plan, by="mara").fresh
    ended(launch, attempt=2)
    assert len(tree.mailed()) == 3


@pytest.mark.slow
def test_a_broken_run_is_mended(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=ROWS)
    run_id = claim(tree)
    folder = tree.run_folder()
    began = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
    mail_log = tree.root / "mail.log"
    mail_log.write_text("\n".join(write_journal(tree.campaigns, folder, began, 9.0, DONE)) + "\n")
    (folder / "started").write_text("2026-05-12T17:52:00Z\n")
    (folder / "owner").write_text("999999999 1 0-0\n")
    peer = SmtpPeer()
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    settings = tree.settings_with(runner=runner, runner_kind="mail-blast-runner", mail_log=[str(mail_log)])
    try:
        doubter = Doubter(session, settings, "blast-test")
        doubt = doubter.doubt(SLUG, 1)
        assert (doubt.unknown_total, doubt.unsent) == (IN_FLIGHT, ROWS - DONE)
        left = doubter.decide(SLUG, 1, run_id, {unknown.row: Fate.SENT for unknown in doubt.unknown}, "ana")
        assert left.unknown_total == 0

        assert Mender(session, settings, Policy(), "blast-test").send_rest(SLUG, 1, run_id, "ana").fresh

        ended(Launcher(session, settings, Policy(), "blast-test"))
        assert peer.recipients() == {f"r{row}@example.com": 1 for row in range(DONE, ROWS)}
    finally:
        peer.stop()
