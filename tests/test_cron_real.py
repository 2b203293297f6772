"""Given Debian's own cron under a fast clock in a private mount namespace, the reader foretells what it does.

The daemon sees only tables of this test; sixty of its seconds pass in one of ours.
"""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from opsconsole.cron import fires, read_cron
from tests.test_cron_files import FILES, IGNORED, RUNS

pytestmark = [pytest.mark.slow, pytest.mark.needs("cron"), pytest.mark.needs("faketime")]

QUIET = b'MAILTO=""\n'  # a failing job must not post mail on this machine
MOUNT_AND_RUN = """
mount --bind "$1/cron.d" /etc/cron.d && mount --bind "$1/crontab" /etc/crontab &&
mount --bind "$1/spool" /var/spool/cron && mount --bind "$1/run" /run &&
exec env LD_PRELOAD="$2" FAKETIME="@$3 x60" TZ="$4" /usr/sbin/cron -f
"""


@contextmanager
def real_cron(home, tables, start, zone):
    """Debian's cron with these tables of /etc/cron.d; gives the folder where @OUT@ in a table points."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime.so.1; install it: apt-get install faketime")
    if os.geteuid() or subprocess.run(["unshare", "-m", "mount", "--bind", home, home], check=False).returncode:
        pytest.skip("needs root and the right to mount in a namespace of its own")
    for name in ("cron.d", "spool/crontabs", "run", "out"):
        (home / name).mkdir(parents=True)
    (home / "crontab").touch()
    out = home / "out"
    for name, text in {**tables, "clock": QUIET + b"* * * * * root echo x >> @OUT@/clock\n"}.items():
        path = home / "cron.d" / name
        path.write_bytes(text.replace(b"@OUT@", os.fsencode(out)))
        path.chmod(0o644)
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", MOUNT_AND_RUN, "sh", home]
    daemon = subprocess.Popen(
        [*command, library, f"{start:%Y-%m-%d %H:%M:%S}", zone],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield out
    finally:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def wait_for(what, seconds=60):
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.2)


def minutes_passed(out):
    clock = out / "clock"
    return len(clock.read_text().split()) if clock.exists() else 0


def test_the_daemon_ignores_exactly_the_files_the_reader_condemns(tmp_path):
    marked = {case["name"]: case["content"].encode().replace(b"echo ok", b"touch @OUT@/") for case in FILES}
    added = {f"case{at}": b"* * * * * root touch @OUT@/\n" + text for at, text in enumerate(RUNS + IGNORED)}
    tables = {
        name: QUIET + text.replace(b"@OUT@/", b"@OUT@/" + name.encode(), 1)
        for name, text in (marked | added).items()
    }
    obeyed = {
        name for name, text in tables.items() if not read_cron(name, text, known_users={"root"}).ignored_because
    }

    with real_cron(tmp_path, tables, datetime(2026, 6, 1, 12, 0, 30), "UTC") as out:
        wait_for(lambda: minutes_passed(out) >= 3)
        wait_for(lambda: len(list(out.iterdir())) > len(obeyed))
        ran = {path.name for path in out.iterdir()} - {"clock"}

    assert ran == obeyed


def test_the_daemon_catches_up_missed_times_as_foretold(tmp_path):
    schedules = ["30 2 * * *", "*/30 2 * * *", "0,30 1,2,3 * * *", "5-59/20 2 * * *", "0 */2 * * *", "59 1 * * *"]
    tables = {f"j{at}": f"{text} root echo x >> @OUT@/j{at}\n".encode() for at, text in enumerate(schedules)}
    start = datetime(2026, 3, 8, 1, 57, 30, tzinfo=ZoneInfo("America/New_York"))
    end = start.replace(hour=3, minute=20)
    foretold = {name: len(fires(read_cron(name, text).lines[0], start, end)) for name, text in tables.items()}

    with real_cron(tmp_path, tables, start, "America/New_York") as out:
        # 01:58, 01:59, then the jump; what is missed may take a few minutes to be caught up
        wait_for(lambda: minutes_passed(out) >= 8)
        started = {name: len((out / name).read_text().split()) if (out / name).exists() else 0 for name in tables}

    assert started == foretold
