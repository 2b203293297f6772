"""The whole embedded world: it comes up, it is real, and it leaves nothing behind."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest

from backends.embedded import hoststate
from backends.embedded.campaigns.catalogue import PAUSED, SENDING, STALLED
from backends.embedded.world import HOST, World
from opsconsole import config
from tests.embedded.test_sshhost import connect, eventually, run

SLOW_MACHINE = 30.0


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """For those that only look."""
    with World() as world:
        yield world


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def alive(pid: int) -> bool:
    """A process that is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid: int) -> Callable[[], bool]:
    return lambda: not alive(pid)


def test_its_config_is_one_the_console_reads(shared: World) -> None:
    loaded = config.load(shared.config_path)
    assert loaded.name == "demo"
    host = loaded.environment.blasthost[HOST]
    assert host.campaigns_dir == str(shared.paths.campaigns)
    assert loaded.environment.dashboard
    assert loaded.environment.dashboard.url == shared.dashboard.url
    assert loaded.data_dir.is_relative_to(shared.root)


def test_the_dashboard_answers_to_the_token_in_the_file(shared: World) -> None:
    token = (shared.config_path.parent / "token").read_text().strip()
    url = f"{shared.dashboard.url}/api/campaigns/paul-simon-may12"
    with httpx.Client(trust_env=False, timeout=5) as client:
        assert client.get(url).status_code == 401
        answer = client.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == shared.campaign_on_dashboard("paul-simon-may12")
    assert answer.json()["status"] == "approved"


@pytest.mark.needs("ssh")
def test_opensshs_client_gets_in_by_the_hosts_name(shared: World) -> None:
    command = ["ssh", "-F", str(shared.ssh_config), "-o", "BatchMode=yes", HOST, "ls"]
    folders = subprocess.run(
        [*command, shlex.quote(str(shared.paths.campaigns))], capture_output=True, text=True, timeout=30
    )
    assert folders.returncode == 0, folders.stderr
    assert "paul-simon-may12" in folders.stdout.split()


def test_a_send_on_the_host_really_delivers_to_the_sink(world: World) -> None:
    client = connect(world.ssh)
    runner = shlex.quote(str(world.paths.runner))
    _, _, rehearsed = run(client, f"{runner} --campaign volunteer-call --mode dry-run")
    assert (rehearsed, world.mailbox()) == (0, [])
    _, errors, status = run(client, f"{runner} --campaign sponsor-thanks --mode send")
    assert status != 0, "it is on hold"
    assert b"held" in errors
    (world.paths.holds / "sponsor-thanks").unlink()
    _, errors, status = run(client, f"{runner} --campaign sponsor-thanks --mode send")
    client.close()
    assert status == 0, errors
    assert set(world.sent_to().values()) == {1}
    assert len(world.sent_to()) == len(world.mailbox()) == 64


def test_a_detached_run_outlives_its_connection_and_ends_with_the_world() -> None:
    with World() as world:
        folder = world.paths.runs / "knots-for-kids" / "1"
        folder.mkdir(parents=True)
        script = (
            f"cd {shlex.quote(str(folder))}; setsid sh -c 'echo $$ >pid; exec sleep 300' </dev/null >out 2>&1 &"
        )
        client = connect(world.ssh)
        run(client, "exec /bin/sh -s", script.encode())
        client.close()
        assert eventually(lambda: (folder / "pid").exists() and (folder / "pid").read_text().endswith("\n"))
        pid = int((folder / "pid").read_text())
        (folder / "owner").write_text(hoststate.owner_line(pid))
        assert alive(pid)
    assert eventually(gone(pid))


def test_it_leaves_no_file_no_process_and_no_handler_behind() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with World() as world:
        root, (stuck,) = world.root, hoststate.live_owners(world.paths.runs)
        assert alive(stuck)
    assert not root.exists()
    assert not alive(stuck)
    assert signal.getsignal(signal.SIGTERM) is before
    for part in (world.ssh, world.dashboard, world.sink):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", part.port), timeout=2).close()
    world.stop()


@pytest.mark.slow
def test_an_error_inside_takes_it_down_too() -> None:
    world = World()
    with pytest.raises(RuntimeError, match="on purpose"), world:
        raise RuntimeError("on purpose")
    assert not world.root.exists()


@pytest.mark.slow
def test_a_folder_of_the_callers_stays_his(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with World(tmp_path) as world:
        assert world.config_path.is_relative_to(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_it_can_be_brought_up_by_any_thread() -> None:
    kept: list[Path] = []

    def use() -> None:
        with World() as world:
            kept.append(world.root)

    thread = Thread(target=use)
    thread.start()
    thread.join(SLOW_MACHINE)
    assert kept
    assert not kept[0].exists()


HOLDER = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored from birth where a shell runs this behind
from pathlib import Path
from backends.embedded import hoststate
from backends.embedded.world import World
with World(Path(sys.argv[1]) if len(sys.argv) > 1 else None) as world:
    print(world.root, *hoststate.live_owners(world.paths.runs), flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_takes_it_down_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout
        root, stuck = holder.stdout.readline().split()
        assert Path(root).exists()
        holder.send_signal(number)
        assert holder.wait(SLOW_MACHINE) != 0
    assert not Path(root).exists()
    assert not alive(int(stuck))


@pytest.mark.slow
def test_even_killed_it_leaves_no_process_of_its_own(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout
        _, stuck = holder.stdout.readline().split()
        holder.kill()
        holder.wait(SLOW_MACHINE)
    assert eventually(gone(int(stuck)))


def test_the_stalled_run_is_owned_by_a_live_process_that_records_its_end_when_told(world: World) -> None:
    folder = world.paths.runs / STALLED / "1"
    assert not (folder / "finished").exists()
    assert world.now.timestamp() - (folder / "out").stat().st_mtime > 10 * 60
    (pid,) = hoststate.live_owners(world.paths.runs)
    assert (folder / "owner").read_text() == hoststate.owner_line(pid)
    os.killpg(pid, signal.SIGTERM)
    assert eventually((folder / "finished").exists)
    assert json.loads((folder / "finished").read_text())["rc"] == 143


@pytest.mark.slow
def test_a_live_world_has_a_send_going_and_one_that_is_paused() -> None:
    with World(live=True) as world:
        folders = [world.paths.runs / slug / "1" for slug in (SENDING, PAUSED)]
        assert eventually(lambda: all((folder / "started").exists() for folder in folders), SLOW_MACHINE)
        assert eventually(lambda: len(world.sent_to()) > 3, SLOW_MACHINE)
        assert eventually((folders[1] / "control").exists, SLOW_MACHINE)
        pids = hoststate.live_owners(world.paths.runs)
        assert len(pids) == 3
    assert not any(map(alive, pids))


@pytest.mark.slow
def test_the_sinks_pace_holds_a_send_back(world: World) -> None:
    world.sink.pace = 0.01
    began = time.monotonic()
    client = connect(world.ssh)
    runner = shlex.quote(str(world.paths.runner))
    assert run(client, f"{runner} --campaign sunset-cruise-reminder --mode send")[2] == 0
    client.close()
    assert time.monotonic() - began >= 318 * 0.01
