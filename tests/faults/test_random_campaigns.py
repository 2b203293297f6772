"""Random campaigns under random faults, against an oracle that counts every recipient at the sink."""

import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest

from opsconsole.audit.rules import StoreRules
from tests.faults.campaigns import Case, Ground, play
from tests.faults.desk import open_store
from tests.faults.support import report, seed, size
from tests.support.blasthost import SLUG, BlastTree
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.slow

AT_A_TIME = 4
PACE = 0.02  # seconds a mail, so that a run can be met in its middle


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    tree, peer = BlastTree(tmp_path / "host"), SmtpPeer()
    peer.delay = PACE
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    assert runner
    settings = tree.settings_with(runner=runner, runner_kind="mail-blast-runner")
    store = open_store(tmp_path / "team", StoreRules(four_eyes=frozenset({"test"})))
    counts: Counter[str] = Counter()
    counted, lock = 0, Lock()

    def delivered(people: list[str]) -> Counter[str]:
        nonlocal counted
        with lock:
            new = len(peer.delivered)
            counts.update(mail.recipient for mail in peer.delivered[counted:new])
            counted = new
            return Counter({who: counts[who] for who in people if counts[who]})

    def cron(slug: str) -> None:
        subprocess.run(
            [
                runner,
                "--campaign",
                slug,
                "--mode",
                "send",
                "--campaigns-dir",
                settings.campaigns_dir,
                "--log-dir",
                settings.log_dir,
                "--state-dir",
                settings.state_dir,
                "--credentials",
                settings.credentials,
            ],
            env={"HOME": "/", "PATH": "/usr/bin:/bin", "MAIL_BLAST_RETRY_BASE": "0.2"},
            capture_output=True,
            timeout=80,
        )

    yield Ground(tree, settings, store, delivered, cron)
    tree.end_runs()
    store.close()
    peer.stop()


@pytest.mark.timeout(1800)
def test_everybody_gets_it_once_or_the_console_knows_who_did_not(ground: Ground) -> None:
    draw = random.Random(seed())
    cases = [
        Case.drawn(f"{SLUG}-{number}", random.Random(draw.getrandbits(64))) for number in range(size(14, 1000))
    ]

    def one(case: Case) -> None:
        try:
            play(case, ground)
        except Exception as error:
            case.wrong.append(f"the test itself: {error!r}")

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(one, cases))

    wrong = [f"{case}: {'; '.join(case.wrong)}" for case in cases if case.wrong]
    print(f"ended as {dict(Counter(case.ended_as for case in cases))}")
    print(f"faults that fired: {dict(Counter(case.barred or case.fault for case in cases if case.fired))}")
    report("random campaigns", len(cases), sum(case.fired for case in cases), len(wrong))
    assert not wrong, "\n".join(wrong)
    assert ground.store.verify().ok
