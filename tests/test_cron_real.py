"""Given Debian's own cron under a fast clock in a private mount namespace, the reader foretells what it does.

The daemon sees only tables of this test; sixty of its seconds pass in one of ours.
"""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backends.blasthost.cronswitch import Key, digest, switch
from opsconsole.cron import fires, read_cron, unmarked
from opsconsole.settings import BlastHost
from tests.blasthost.shells import LocalShell
from tests.support.programs import false_clock
from tests.test_cron_files import FILES, IGNORED, RUNS

pytestmark = [pytest.mark.slow, pytest.mark.needs("cron"), pytest.mark.needs("faketime")]

QUIET = b'MAILTO=""\n'  # a failing job must not post mail on this machine
MOUNT_AND_RUN = """
mount --bind "$1/cron.d" /etc/cron.d && mount --bind "$1/crontab" /etc/crontab &&
mount --bind "$1/spool" /var/spool/cron && mount --bind "$1/run" /run &&
exec env "$2" "$3" TZ="$4" /usr/sbin/cron -f
"""


@contextmanager
def real_cron(home, tables, start, zone):
    """Debian's cron with these tables of /etc/cron.d; gives the folder where @OUT@ in a table points."""
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
        [*command, *false_clock(f"@{start:%Y-%m-%d %H:%M:%S} x60"), zone],
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


@pytest.mark.needs("dash")
def test_the_daemon_stops_a_line_that_is_switched_off_and_starts_it_when_it_is_on_again(tmp_path):
    """The console's own script switches it, beside the running daemon, which has loaded the table already."""
    home, start = tmp_path / "home", datetime(2026, 6, 1, 12, 0, 30)
    home.mkdir()
    text = b"* * * * * root echo x >> @OUT@/kept\n* * * * * root echo x >> @OUT@/switched\n"
    settings = BlastHost(
        ssh="prod", cron_files=[str(home / "cron.d" / "blasts")], state_dir=str(tmp_path / "lib" / "runs")
    )
    path = home / "cron.d" / "blasts"

    def switched(on):
        now = path.read_bytes()
        line = digest(unmarked(now.split(b"\n")[1]))
        key = str(Key("prod", str(path), 2, line, digest(now)))
        return switch(LocalShell(["dash"]), settings, "prod", key, on, "mara", datetime.now(UTC))

    with real_cron(home, {"blasts": text}, start, "UTC") as out:

        def ran(name):
            return len((out / name).read_text().split()) if (out / name).exists() else 0

        def minutes_pass(count):
            until = minutes_passed(out) + count
            wait_for(lambda: minutes_passed(out) >= until)

        wait_for(lambda: ran("switched") >= 2)
        assert ran("switched") >= 2
        switched(False)
        minutes_pass(2)  # the minute under way may have been loaded before
        quiet, kept = ran("switched"), ran("kept")
        minutes_pass(3)
        assert ran("switched") == quiet
        assert ran("kept") > kept

        switched(True)
        wait_for(lambda: ran("switched") >= quiet + 2)
        assert ran("switched") >= quiet + 2
        assert path.read_bytes() == text.replace(b"@OUT@", os.fsencode(out))
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["blasts", "clock"]
