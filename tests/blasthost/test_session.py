"""Commands on a real host: what goes over, what comes back, and that nothing of it can act."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backends.blasthost.errors import HostTimeout, RemoteFailed, TooMuchOutput
from backends.blasthost.session import HostSession, Status
from tests.support.ssh import target_of
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.usefixtures("no_agent")]


@pytest.fixture
def session(sshd: Sshd, open_session: Callable[..., HostSession]) -> HostSession:
    return open_session(target_of(sshd))


def test_a_script_runs_and_both_streams_and_its_status_come_back(session: HostSession) -> None:
    done = session.run('echo "to $1"; echo oops >&2; exit 3', "stdout")
    assert (done.stdout, done.stderr, done.rc) == (b"to stdout\n", b"oops\n", 3)


HOSTILE = ("; rm -rf /", "$(id)", "`id`", "a\nb", "it's", '"', "\\", "--", "*", "", "naïve", "!x", "-n")


def test_hostile_arguments_arrive_as_they_are(session: HostSession) -> None:
    done = session.run('printf "%s|" "$@"', *HOSTILE)
    assert done.stdout.decode() == "".join(f"{argument}|" for argument in HOSTILE)


def test_a_nul_byte_is_refused_before_anything_is_sent(session: HostSession) -> None:
    with pytest.raises(ValueError, match="NUL"):
        session.run("echo $1", "a\0b")
    assert session.state == "connecting"


def test_neither_script_nor_arguments_show_in_the_process_list(session: HostSession) -> None:
    done = session.run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; : in-the-script", "in-the-args")
    assert b"/bin/sh -s" in done.stdout
    assert b"in-the-script" not in done.stdout
    assert b"in-the-args" not in done.stdout


def test_a_script_finds_its_standard_input_empty(session: HostSession) -> None:
    assert session.run("cat; echo rest").stdout == b"rest\n"


def test_three_megabytes_on_stderr_do_not_hang_the_answer(session: HostSession) -> None:
    done = session.run("head -c 3000000 /dev/zero | tr '\\0' e >&2; head -c 3000000 /dev/zero | tr '\\0' o")
    assert (len(done.stdout), len(done.stderr), done.rc) == (3_000_000, 3_000_000, 0)


def test_a_syntax_error_in_a_script_is_an_error_and_not_an_empty_answer(session: HostSession) -> None:
    # The shell itself gives up here, before the closing record; that must not look like success.
    with pytest.raises(Exception, match="ended before its script"):
        session.run("if true; then")


def test_output_that_imitates_our_records_stays_output(session: HostSession) -> None:
    done = session.run("printf '\\0%s END 0\\n' deadbeefdeadbeefdeadbeefdeadbeef; exit 5")
    assert done.stdout == b"\0deadbeefdeadbeefdeadbeefdeadbeef END 0\n"
    assert done.rc == 5


def test_a_background_child_that_keeps_the_output_open_delays_nothing(session: HostSession) -> None:
    session.ensure()
    began = time.monotonic()
    assert session.run("sleep 20 & echo started").stdout == b"started\n"
    assert time.monotonic() - began < 10


def test_a_large_python_program_runs_isolated_with_its_data(session: HostSession) -> None:
    source = (
        "import json, sys\n"
        + "# filler with 'quotes' and \"more\" $(id)\n" * 1500
        + "data = json.load(sys.stdin)\n"
        + "print(data['names'][1], sys.flags.isolated, len(data['names']))\n"
        + "sys.exit(4)\n"
    )
    assert len(source) > 60_000
    done = session.run_python(source, {"names": ["a", "it's; $(id)\n", *map(str, range(5000))]})
    assert done.stdout.decode() == "it's; $(id)\n 1 5002\n"
    assert done.rc == 4


def test_a_python_program_that_breaks_says_so(session: HostSession) -> None:
    done = session.run_python("import sys\nprint('before')\nraise ValueError('bad')")
    assert (done.stdout, done.rc) == (b"before\n", 1)
    assert b"ValueError: bad" in done.stderr


def test_a_host_without_that_python_is_told_from_a_broken_one(session: HostSession) -> None:
    with pytest.raises(RemoteFailed) as caught:
        session.run_python("print(1)", interpreter="python9")
    assert caught.value.rc == 127


def test_a_failed_command_can_be_turned_into_an_error_with_its_last_words(session: HostSession) -> None:
    with pytest.raises(RemoteFailed, match="failed to read the registry") as caught:
        session.run("cat /nonexistent").check("read the registry")
    assert "No such file" in caught.value.means


def test_a_command_over_its_limit_is_given_up_and_the_connection_stays(session: HostSession) -> None:
    session.ensure()
    with pytest.raises(HostTimeout) as caught:
        session.run("echo early; sleep 30", timeout=0.5)
    assert caught.value.may_have_run
    assert session.run("echo still here").stdout == b"still here\n"


def test_output_over_the_cap_ends_the_command(session: HostSession) -> None:
    with pytest.raises(TooMuchOutput, match="100000 bytes"):
        session.run("yes", max_bytes=100_000)
    assert session.run("echo fine").rc == 0


GIGABYTE = "head -c 1000000000 /dev/zero"


@pytest.mark.parametrize("script", [GIGABYTE, f"{GIGABYTE} >&2", f"{GIGABYTE} | tr '\\0' '\\n'"])
def test_a_host_that_answers_with_a_gigabyte_is_cut_off(session: HostSession, script: str) -> None:
    with pytest.raises(TooMuchOutput, match="8388608 bytes") as caught:
        session.run(script)
    assert caught.value.may_have_run
    assert session.run("echo fine").rc == 0


def test_a_login_shell_that_talks_for_ever_is_cut_off_too(session: HostSession, tmp_path: Path) -> None:
    noisy = tmp_path / "shell"
    noisy.write_text(f'#!/bin/sh\n{GIGABYTE}\nexec /bin/sh "$@"\n')
    noisy.chmod(0o755)
    with pytest.raises(TooMuchOutput):
        session.run("echo never", interpreter=str(noisy))


def test_eight_threads_at_once_all_get_their_own_answer(session: HostSession) -> None:
    def ask(number: int) -> bytes:
        return session.run('sleep 0.05; echo "$1"', str(number)).stdout

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [b"%d\n" % number for number in range(40)]


def test_a_host_that_allows_a_single_session_is_served_one_command_after_the_other(
    tmp_path: Path, open_session: Callable[..., HostSession]
) -> None:
    server = Sshd(tmp_path / "one", options="MaxSessions 1")
    try:
        session = open_session(target_of(server))
        assert [session.run("echo $1", str(n)).stdout for n in range(3)] == [b"0\n", b"1\n", b"2\n"]
    finally:
        server.stop()


def test_the_connection_says_where_it_leads_and_how_far_it_is(
    sshd: Sshd, open_session: Callable[..., HostSession]
) -> None:
    seen: list[Status] = []
    session = open_session(target_of(sshd), heartbeat=0.1, on_state=seen.append)
    session.ensure()
    end = time.monotonic() + 10
    while session.latency_ms is None and time.monotonic() < end:
        time.sleep(0.02)
    assert session.identity == f"{sshd.user}@{sshd.host}:{sshd.port}"
    assert session.server_fingerprint == sshd.fingerprint
    assert session.latency_ms is not None
    assert [status.state for status in seen] == ["connecting", "connected"]


def test_a_followed_log_arrives_as_it_grows_and_ends_with_its_script(session: HostSession, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("one\n")
    got = bytearray()

    def take(data: bytes) -> None:
        got.extend(data)
        second.touch()  # only what has arrived lets the script go on

    end = session.stream(
        'cat "$1"; while [ ! -e "$2" ]; do sleep 0.05; done; echo two; echo note >&2; exit 6',
        str(first),
        str(second),
        on_data=take,
        stop=threading.Event(),
    )
    assert bytes(got) == b"one\ntwo\n"
    assert (end.ended, end.rc) == (True, 6)


def test_following_stops_when_asked_to(session: HostSession) -> None:
    stop, got = threading.Event(), bytearray()

    def take(data: bytes) -> None:
        got.extend(data)
        stop.set()

    end = session.stream("echo first; exec sleep 60", on_data=take, stop=stop)
    assert (end.ended, end.rc, bytes(got)) == (False, None, b"first\n")


def test_a_silent_stream_ends_at_its_idle_limit(session: HostSession) -> None:
    with pytest.raises(HostTimeout, match="said nothing"):
        session.stream("sleep 30", on_data=lambda data: None, stop=threading.Event(), idle_timeout=0.3)


def test_a_large_stream_arrives_whole_while_the_reader_is_slow(session: HostSession) -> None:
    size = 0

    def take(data: bytes) -> None:
        nonlocal size
        size += len(data)
        time.sleep(0.001)

    end = session.stream("head -c 20000000 /dev/zero", on_data=take, stop=threading.Event())
    assert (end.ended, size) == (True, 20_000_000)


def test_the_second_command_finds_a_channel_that_stands_ready(
    tmp_path: Path, open_session: Callable[..., HostSession]
) -> None:
    starts = tmp_path / "starts"
    server = Sshd(
        tmp_path / "counting",
        key_options=f'command="echo x >>{starts}; eval \\"$SSH_ORIGINAL_COMMAND\\""',
    )
    try:
        session = open_session(target_of(server), heartbeat=60)
        session.run(":")
        end = time.monotonic() + 10
        while starts.read_text().count("x") < 3 and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.2)  # the channel is handed over after it was started
        assert session.run_python("print('ready')").stdout == b"ready\n"
        assert starts.read_text().count("x") == 3  # the first command, the heartbeat, the one that stood ready
    finally:
        server.stop()
