"""The embedded SSH host, looked at by paramiko and by OpenSSH's own client."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import paramiko
import pytest

from backends.embedded.keys import make_key_pair
from backends.embedded.sshhost import EmbeddedSshHost

BINARY = bytes(range(256)) * 12_000  # 3 MB with every byte in it


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EmbeddedSshHost]:
    with EmbeddedSshHost(tmp_path) as host:
        yield host


@pytest.fixture
def client(host: EmbeddedSshHost) -> Iterator[paramiko.Transport]:
    transport = connect(host)
    yield transport
    transport.close()


def connect(host: EmbeddedSshHost, user: str = "blast") -> paramiko.Transport:
    peer = socket.create_connection(("127.0.0.1", host.port), timeout=5)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(peer)
    transport.start_client(timeout=5)
    assert transport.get_remote_server_key() == host.host_key.key
    transport.auth_publickey(user, host.login_key.key)
    return transport


def run(client: paramiko.Transport, command: str, stdin: bytes = b"") -> tuple[bytes, bytes, int]:
    """Both outputs whole, and the exit status, with stdin fed from a thread of its own."""
    channel = client.open_session(timeout=5)
    channel.settimeout(20)
    channel.exec_command(command)
    errors: list[bytes] = []

    def feed() -> None:
        with suppress(OSError):
            channel.sendall(stdin)
            channel.shutdown_write()

    def read_errors() -> None:
        while data := channel.recv_stderr(1 << 16):
            errors.append(data)

    threads = [Thread(target=feed, daemon=True), Thread(target=read_errors, daemon=True)]
    for thread in threads:
        thread.start()
    output = b""
    while data := channel.recv(1 << 18):
        output += data
    for thread in threads:
        thread.join(10)
    return output, b"".join(errors), channel.recv_exit_status()


def test_three_megabytes_go_in_and_come_back_byte_for_byte(client: paramiko.Transport) -> None:
    assert run(client, "cat; exit 7", BINARY) == (BINARY, b"", 7)


def test_both_streams_may_be_larger_than_the_channels_window(client: paramiko.Transport) -> None:
    output, errors, status = run(client, "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero")
    assert (len(output), len(errors), status) == (3_000_000, 3_000_000, 0)


@pytest.mark.parametrize(
    ("command", "status"),
    [("true", 0), ("exit 3", 3), ("kill -9 $$", 128 + 9), ("kill -15 $$", 128 + 15), ("no-such-program", 127)],
)
def test_the_exit_status_tells_how_it_ended(client: paramiko.Transport, command: str, status: int) -> None:
    assert run(client, command)[2] == status


def test_a_script_on_stdin_gets_its_arguments_and_its_own_home(
    host: EmbeddedSshHost, client: paramiko.Transport
) -> None:
    script = b'printf "%s|" "$@"; pwd; printf "%s\\n" "$HOME"\n'
    arguments = shlex.join(["a b", "$(touch escaped)", "c"])
    output, _, status = run(client, f"exec /bin/sh -s -- {arguments}", script)
    assert output.decode().splitlines() == [f"a b|$(touch escaped)|c|{host.home}", str(host.home)]
    assert status == 0
    assert not list(host.home.iterdir())


def test_a_child_that_closes_its_input_early_hangs_nobody(client: paramiko.Transport) -> None:
    assert run(client, "exec <&-; echo read nothing", BINARY) == (b"read nothing\n", b"", 0)


@pytest.mark.slow
def test_a_hundred_short_commands_all_get_their_answer(client: paramiko.Transport) -> None:
    assert [run(client, f"exit {n}")[2] for n in range(100)] == list(range(100))


def test_a_detached_child_survives_the_connection_and_does_not_hold_the_channel(
    host: EmbeddedSshHost, client: paramiko.Transport
) -> None:
    output, _, _ = run(client, "setsid sh -c 'echo $$; exec sleep 60 >/dev/null' 2>/dev/null </dev/null & wait_a=1")
    pid = int(output)
    try:
        client.close()
        host.stop()
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_stopping_the_host_ends_the_commands_it_still_runs(
    host: EmbeddedSshHost, client: paramiko.Transport
) -> None:
    channel = client.open_session()
    channel.exec_command("echo $$; exec sleep 60")
    pid = int(channel.recv(100))
    host.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_command_whose_console_vanished_finds_its_pipe_broken(
    host: EmbeddedSshHost, client: paramiko.Transport, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    channel = client.open_session()
    channel.exec_command(f"trap '' PIPE; while echo x; do :; done; echo $? >{shlex.quote(str(ended))}")
    channel.recv(10)
    client.close()
    assert eventually(ended.exists)


def test_no_more_sessions_at_once_than_sshd_allows(client: paramiko.Transport) -> None:
    channels = [client.open_session() for _ in range(10)]
    with pytest.raises(paramiko.ChannelException):
        client.open_session()
    channels[0].close()
    assert eventually(lambda: opens(client))


def test_a_strange_key_and_a_strange_user_stay_outside(host: EmbeddedSshHost) -> None:
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", host.port)))
    transport.start_client(timeout=5)
    try:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey("blast", make_key_pair().key)
    finally:
        transport.close()
    with pytest.raises(paramiko.AuthenticationException):
        connect(host, user="root")


def test_a_cut_host_is_out_of_reach_until_mended(host: EmbeddedSshHost, client: paramiko.Transport) -> None:
    host.cut()
    assert eventually(lambda: not client.is_active())
    with pytest.raises((paramiko.SSHException, OSError, EOFError)):
        connect(host)
    host.mend()
    again = connect(host)
    assert run(again, "echo back")[0] == b"back\n"
    again.close()


def test_keys_keep_to_themselves(host: EmbeddedSshHost, tmp_path: Path) -> None:
    saved = host.login_key.save(tmp_path / "id")
    assert saved.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(host.login_key)


@pytest.mark.needs("ssh")
def test_opensshs_own_client_is_content(host: EmbeddedSshHost, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(host.known_hosts_line + "\n")
    command = [
        shutil.which("ssh") or "ssh", "-F", "/dev/null", "-p", str(host.port),
        "-i", str(host.login_key.save(tmp_path / "id")), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
        "-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes", "blast@127.0.0.1",
    ]  # fmt: skip
    done = subprocess.run([*command, "cat; echo seen >&2; exit 9"], input=BINARY, capture_output=True, timeout=30)
    assert (done.stdout == BINARY, done.stderr, done.returncode) == (True, b"seen\n", 9)
    shell = subprocess.run(command, input=b"echo $((6 * 7))\n", capture_output=True, timeout=30)
    assert (shell.stdout, shell.returncode) == (b"42\n", 0)


def opens(client: paramiko.Transport) -> bool:
    try:
        client.open_session(timeout=2).close()
    except paramiko.ChannelException:
        return False
    return True


def eventually(condition: object, seconds: float = 10) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
