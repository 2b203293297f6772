"""Cron and the console in the same second: one of them claims and mails everybody once, the others are refused."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from backends.blasthost.launcher import Launcher
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Trouble
from tests.blasthost.local import LocalSession
from tests.faults.support import report, seed, size
from tests.runner.conftest import wait_for
from tests.support.blasthost import BlastTree
from tests.support.smtp_peer import SmtpPeer

PEOPLE = 12
ROUNDS = size(6, 20)


def installed(folder: Path) -> Path:
    """Our runner under a name of its own: a host has one, and this machine may run many tests."""
    path = folder / f"mail-blast-runner-{os.getpid()}"
    found = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    assert found
    shutil.copy(found, path)
    return path


@pytest.mark.slow
@pytest.mark.needs("flock")
def test_of_two_runners_and_a_launcher_at_once_exactly_one_mails_everybody(tmp_path: Path, peer: SmtpPeer) -> None:
    tree = BlastTree(tmp_path)
    runner = installed(tree.runner.parent)
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    settings = tree.settings_with(runner=str(runner), credentials=str(credentials))
    env = {
        **os.environ,
        "MAIL_BLAST_CAMPAIGNS_DIR": str(tree.campaigns),
        "MAIL_BLAST_LOG_DIR": str(tree.logs),
        "MAIL_BLAST_STATE_DIR": str(tree.runs),
        "MAIL_BLAST_CREDENTIALS": str(credentials),
    }
    chance = random.Random(seed())
    winners: Counter[str] = Counter()
    refusals = 0
    for number in range(ROUNDS):
        slug = f"round-{number}-{os.getpid()}"
        tree.campaign(slug, recipients=PEOPLE)
        launch = Launcher(LocalSession(), settings, Policy(), "blast-test")  # type: ignore[arg-type]
        plan = tree.plan(slug, audience=PEOPLE)
        before = len(peer.delivered)
        said: list[str] = []
        wait = chance.uniform(0, 1) if number % 3 else 0.0  # the launcher has more to look at before it claims
        ready = threading.Barrier(3)

        def by_console(ready: threading.Barrier = ready, said: list[str] = said) -> None:
            ready.wait()
            try:
                said.append("console" if launch.start(plan, by="mara").fresh else "attached")  # noqa: B023
            except (Refused, Trouble) as error:
                said.append(f"console: {error}")

        def by_cron(ready: threading.Barrier = ready, said: list[str] = said, slug: str = slug) -> None:
            ready.wait()
            time.sleep(wait)  # noqa: B023
            done = subprocess.run(
                [runner, "--campaign", slug, "--mode", "send"],
                env=env,
                capture_output=True,
                timeout=60,
                check=False,
            )
            said.append("cron" if done.returncode == 0 else f"cron: {done.returncode} {done.stderr.decode()}")

        threads = [threading.Thread(target=work) for work in (by_console, by_cron, by_cron)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        folder = tree.run_folder(slug)
        wait_for(lambda: (folder / "finished").exists(), 30)  # noqa: B023

        assert tree.attempts(slug) == ["1"], said
        assert sum(word in ("console", "cron") for word in said) == 1, said
        got = Counter(mail.recipient for mail in peer.delivered[before:])
        assert got == {f"r{i}@example.com": 1 for i in range(PEOPLE)}, said
        winners.update(word for word in said if word in ("console", "cron"))
        refusals += sum(word not in ("console", "cron") for word in said)
    print(f"won: {dict(winners)}")
    report("same-second-start", ROUNDS, refusals, 0)
