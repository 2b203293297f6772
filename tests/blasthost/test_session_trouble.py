"""What the operator is told when the host, the line or the login is not as it should be.

Time limits here are wide on purpose: they tell "noticed" from "hung", they don't measure.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backends.blasthost import hostkeys
from backends.blasthost.errors import (
    AuthRefused,
    ChangedHostKey,
    HostError,
    HostLost,
    HostRestricted,
    HostUnreachable,
    UnknownHostKey,
)
from backends.blasthost.keys import Agent, authenticate
from backends.blasthost.session import HostSession, Status
from backends.blasthost.sshconfig import Target
from tests.support.proxy import Proxy
from tests.support.ssh import add_known_host, target_of
from tests.support.sshd import Sshd, descendants, free_port, make_key

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.usefixtures("no_agent")]


@pytest.fixture
def session(sshd: Sshd, open_session: Callable[..., HostSession]) -> HostSession:
    return open_session(target_of(sshd))


Open = Callable[..., HostSession]


class Background:
    """A call in a thread of its own; `error()` waits for how it failed."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._outcome: object = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            self._outcome = call()
        except HostError as error:
            self._outcome = error

    def error(self, limit: float) -> HostError:
        self._thread.join(limit)
        assert not self._thread.is_alive(), "the call still hangs"
        assert isinstance(self._outcome, HostError), f"it returned {self._outcome!r}"
        return self._outcome


def wait_for(file: Path, limit: float = 10) -> None:
    end = time.monotonic() + limit
    while not file.exists():
        assert time.monotonic() < end, f"{file} never came"
        time.sleep(0.02)


def test_a_host_that_dies_under_a_command_gives_lost_and_never_an_empty_success(
    sshd: Sshd, session: HostSession, tmp_path: Path
) -> None:
    call = Background(lambda: session.run('touch "$1"; sleep 30', str(tmp_path / "begun")))
    wait_for(tmp_path / "begun")
    sshd.stop()
    error = call.error(15)
    assert isinstance(error, HostLost)
    assert error.may_have_run
    assert "unknown" in error.means


def test_a_shell_that_is_killed_under_its_script_gives_lost_while_the_line_is_well(
    session: HostSession,
) -> None:
    with pytest.raises(HostLost) as caught:
        session.run("echo some; kill -9 $$; sleep 0.2")
    assert caught.value.may_have_run
    assert session.state == "connected"


def test_a_host_that_came_back_is_found_by_the_next_command(
    sshd: Sshd, session: HostSession, tmp_path: Path
) -> None:
    session.ensure()
    sshd.restart()
    session.retry_now()
    assert session.run("echo back").stdout == b"back\n"


def test_a_command_whose_line_broke_is_not_run_again_by_itself(
    sshd: Sshd, session: HostSession, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    call = Background(lambda: session.run('echo run >>"$1"; sleep 30', str(count)))
    wait_for(count)
    sshd.restart()
    assert isinstance(call.error(15), HostLost)
    session.retry_now()
    session.run("sleep 0.3")
    assert count.read_text() == "run\n"


@pytest.mark.slow
def test_a_line_that_goes_dead_without_a_word_is_noticed_by_the_heartbeat(
    sshd: Sshd, proxy: Proxy, open_session: Open, tmp_path: Path
) -> None:
    add_known_host(sshd.known_hosts, sshd, proxy.port)
    seen: list[Status] = []
    session = open_session(target_of(sshd, port=proxy.port), on_state=seen.append)
    command = Background(lambda: session.run('touch "$1"; sleep 60', str(tmp_path / "begun"), timeout=60))
    wait_for(tmp_path / "begun")
    arrived = threading.Event()
    stream = Background(
        lambda: session.stream("echo; sleep 60", on_data=lambda data: arrived.set(), stop=threading.Event())
    )
    assert arrived.wait(10)
    proxy.black_hole = True
    assert isinstance(command.error(30), HostLost)
    assert isinstance(stream.error(30), HostLost)
    assert seen[-1].state == "lost"
    assert "has not answered" in str(session.last_error)


def test_a_long_answer_on_a_slow_line_is_not_taken_for_a_dead_one(
    sshd: Sshd, proxy: Proxy, open_session: Open
) -> None:
    add_known_host(sshd.known_hosts, sshd, proxy.port)
    session = open_session(target_of(sshd, port=proxy.port), heartbeat=0.1)
    proxy.delay = 0.05
    assert len(session.run("head -c 5000000 /dev/urandom").stdout) == 5_000_000
    assert session.state == "connected"


def test_a_followed_stream_that_breaks_says_lost_and_keeps_what_came(sshd: Sshd, session: HostSession) -> None:
    got, arrived = bytearray(), threading.Event()

    def take(data: bytes) -> None:
        got.extend(data)
        arrived.set()

    call = Background(lambda: session.stream("echo line; sleep 60", on_data=take, stop=threading.Event()))
    assert arrived.wait(10)
    sshd.stop()
    assert isinstance(call.error(15), HostLost)
    assert bytes(got) == b"line\n"


def test_an_unknown_host_key_is_refused_until_its_fingerprint_was_typed(
    sshd: Sshd, open_session: Open, console_known_hosts: Path
) -> None:
    target = replace(target_of(sshd), known_hosts_files=())
    session = open_session(target, known_hosts=(console_known_hosts,))
    with pytest.raises(UnknownHostKey) as caught:
        session.run("echo never")
    assert caught.value.fingerprint == sshd.fingerprint
    assert f"opsconsole host trust {sshd.host} {sshd.fingerprint}" in caught.value.next_step
    assert session.state == "refused"
    assert not caught.value.may_have_run

    hostkeys.trust(caught.value.name, caught.value.port, caught.value.blob, console_known_hosts)
    with pytest.raises(UnknownHostKey):  # refusals are not tried again by themselves
        session.run("echo never")
    session.retry_now()
    assert session.run("echo now").stdout == b"now\n"
    assert console_known_hosts.stat().st_mode & 0o777 == 0o600


def test_a_changed_host_key_is_refused_with_both_fingerprints(sshd: Sshd, open_session: Open) -> None:
    before = sshd.fingerprint
    sshd.restart(new_host_key=True)
    with pytest.raises(ChangedHostKey) as caught:
        open_session(target_of(sshd)).run("echo never")
    assert before in caught.value.what
    assert sshd.fingerprint in caught.value.what
    assert "trust" not in caught.value.next_step


def test_a_refused_key_is_offered_once_and_not_again(sshd: Sshd, open_session: Open, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    session = open_session(replace(target_of(sshd), identity_files=(tmp_path / "stranger",)))
    for _ in range(3):
        with pytest.raises(AuthRefused, match="1 key offered"):
            session.run("echo never")
    assert session.state == "refused"
    assert sshd.log.read_text().count("Failed publickey") == 1

    sshd.accept(tmp_path / "stranger")
    session.retry_now()
    assert session.run("echo in").stdout == b"in\n"


def test_a_locked_key_is_not_asked_about_but_explained(sshd: Sshd, open_session: Open, tmp_path: Path) -> None:
    make_key(tmp_path / "locked", "a passphrase")
    session = open_session(replace(target_of(sshd), identity_files=(tmp_path / "locked",)))
    with pytest.raises(AuthRefused) as caught:
        session.run("echo never")
    assert f"ssh-add {tmp_path / 'locked'}" in caught.value.next_step


@pytest.mark.needs("ssh-agent")
def test_a_locked_key_in_the_agent_works_among_others(
    sshd: Sshd, open_session: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):  # more than sshd allows tries: the named one has to come first
        make_key(tmp_path / f"other{number}")
    make_key(tmp_path / "mine")
    sshd.accept(tmp_path / "mine")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        files = [*(str(tmp_path / f"other{number}") for number in range(8)), str(tmp_path / "mine")]
        subprocess.run(["ssh-add", "-q", *files], check=True, capture_output=True)
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", files[-1]], check=True)
        (tmp_path / "mine.pub").unlink()  # then its public half is read from the locked file
        for only in (True, False):
            target = replace(target_of(sshd), identity_files=(tmp_path / "mine",), identities_only=only)
            assert open_session(target).run("echo in").stdout == b"in\n"
    finally:
        agent.kill()
        agent.wait()


def test_two_hops_are_each_checked_and_carried_through(sshd: Sshd, open_session: Open, tmp_path: Path) -> None:
    bastion = Sshd(tmp_path / "bastion")
    try:
        jump = target_of(bastion)
        session = open_session(target_of(sshd, jumps=(jump,)))
        assert session.run("echo through").stdout == b"through\n"
        assert session.server_fingerprint == sshd.fingerprint

        stranger = open_session(target_of(sshd, jumps=(replace(jump, known_hosts_files=()),)))
        with pytest.raises(UnknownHostKey) as caught:
            stranger.run("echo never")
        assert caught.value.fingerprint == bastion.fingerprint

        with pytest.raises(HostUnreachable, match="from the jump host"):
            open_session(target_of(sshd, port=free_port(), jumps=(jump,))).run("echo never")
    finally:
        bastion.stop()


def test_a_proxy_command_carries_the_connection_and_its_end_is_noticed(
    sshd: Sshd, open_session: Open, tmp_path: Path
) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import socket, sys, threading\n"
        "line = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := sys.stdin.buffer.read1(65536): line.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := line.recv(65536): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()\n"
    )
    command = f"{os.path.realpath('/proc/self/exe')} {relay} {sshd.host} {sshd.port}"
    session = open_session(replace(target_of(sshd), proxy_command=command))
    call = Background(lambda: session.run('touch "$1"; sleep 30', str(tmp_path / "begun")))
    wait_for(tmp_path / "begun")
    relays = [pid for pid in descendants(os.getpid()) if str(relay) in cmdline(pid)]
    assert len(relays) == 1
    os.kill(relays[0], 9)
    assert isinstance(call.error(15), HostLost)


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_closed_port_fails_at_once_and_is_not_hammered(open_session: Open, tmp_path: Path) -> None:
    target = Target("gone", "127.0.0.1", free_port(), "nobody", known_hosts_files=())
    session = open_session(target)
    with pytest.raises(HostUnreachable, match="nothing listens") as first:
        session.run("echo never")
    with pytest.raises(HostUnreachable) as second:
        session.run("echo never")
    assert second.value is first.value  # the pause answers with what is known
    assert session.state == "lost"


def test_a_name_nobody_knows_is_told(open_session: Open) -> None:
    with pytest.raises(HostUnreachable, match="not a name anybody knows"):
        open_session(Target("nowhere", "nowhere.invalid", 22, "nobody")).run("echo never")


def test_something_that_is_no_ssh_server_is_told(open_session: Open) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Target("mute", "127.0.0.1", listener.getsockname()[1], "nobody")
        call = Background(lambda: open_session(target, connect_timeout=0.5).run("echo never"))
        error = call.error(20)
    assert isinstance(error, HostUnreachable)
    assert "did not greet as an SSH server" in error.what


@pytest.mark.parametrize("forced", ["internal-sftp", "echo no shell here", "cat", "exit 1"])
def test_an_account_that_may_not_run_our_shell_is_restricted_not_empty(
    forced: str, tmp_path: Path, open_session: Open
) -> None:
    server = Sshd(tmp_path / "forced", key_options=f'restrict,command="{forced}"')
    try:
        with pytest.raises(HostRestricted) as caught:
            open_session(target_of(server), command_timeout=10).run("echo files")
        assert "says nothing about the files" in caught.value.means
    finally:
        server.stop()


def test_noise_of_the_login_shell_is_kept_apart(tmp_path: Path, open_session: Open) -> None:
    noisy = 'echo Welcome; echo warning >&2; eval \\"$SSH_ORIGINAL_COMMAND\\"'
    server = Sshd(tmp_path / "noisy", key_options=f'command="{noisy}"')
    try:
        done = open_session(target_of(server)).run("echo clean; echo err >&2")
        assert (done.stdout, done.stderr) == (b"clean\n", b"err\n")
        assert b"Welcome" in done.noise
    finally:
        server.stop()


def test_a_closed_session_stays_closed(session: HostSession) -> None:
    session.ensure()
    session.close()
    with pytest.raises(HostLost, match="closed by the console"):
        session.run("echo never")


def test_a_line_that_ends_while_a_key_is_shown_is_no_refusal(sshd: Sshd) -> None:
    """The one who writes may learn of the end before the one who reads does."""

    class Ending:
        def auth_publickey(self, user: str, key: object) -> list[str]:
            raise EOFError

        def is_active(self) -> bool:
            return True

    with pytest.raises(HostUnreachable, match="hung up during the login"):
        authenticate(Ending(), target_of(sshd), Agent())  # type: ignore[arg-type]
