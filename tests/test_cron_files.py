"""Given cron tables, the reader says what Debian's cron makes of them."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.cron import DISABLED, disable_line, enable_line, in_words, is_send, mentions, read_cron

FILES = json.loads((Path(__file__).parent / "data/cron/files.json").read_text())
JOB = b"0 9 * * 1 root mail-blast-runner --campaign spring --mode send\n"


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
def test_a_file_judged_by_the_real_daemon_is_judged_the_same(case):
    table = read_cron(case["name"], case["content"].encode(), mode=int(case["mode"], 8), owner="root")

    assert (table.ignored_because == "") == case["cron_runs_it"], table.ignored_because
    gist = case["note"].partition(" (")[0]
    assert any(gist in said for said in (table.ignored_because, *table.warnings))
    assert all(line.enabled == case["cron_runs_it"] for line in table.lines)
    assert table.lines[0].command == "echo ok"


# Each of these was put before cron 3.0pl1-162: the file with it ran, or was ignored as a whole.
RUNS = [
    *(b"", b"   ", b"# no newline after a comment", b"\t", b"# a\0b\n"),
    *(b"@daily    root   true\n", b"0 1 * * * root    \n", b"0 22-2 * * * root x\n", b"5-1 * * * * root x\n"),
    *(b"4294967296 * * * * root x\n", b"1-4294967298 * * * * root x\n", b"0" * 998 + b"5 * * * * root x\n"),
    *(b"5\xe9 * * * * root x\n", b"5#x * * * * root x\n", b"*/5/2 * * * * root x\n", b"*5 * * * * root x\n"),
    *(b"1-5/2~ * * * * root x\n", b"*/2147483647 * * * * root x\n", b"0 0 * * sat-sun root x\n"),
    *(b"0 0 * * fri-7 root x\n", b"0 0 * 1,feb * root x\n", b"0\x0b1 * * * * root x\n"),
    *(b"A = b c\n", b"A='b'\n", b'A=""\n', b"A==b\n", b"=b\n", b"*=1\n", b'A="b"\r\n', b"A'B'=c\n", b"A\x0b=b\n"),
    *(b"A=b\0\n", b"A" * 996 + b"=x\n", b"A=" + b"x" * 5000 + b"\n", b"0 1 * * * root " + b"x" * 998 + b"\n"),
]
IGNORED = [
    *(b"A=b", b"0 1 * * * root true", b"\r", b"\0\n", b"\x0c\n", b"0 1 * * * root tr\0ue\n"),
    *(b"@daily\n", b"@daily root\n", b"@daily  \n", b"@ daily root x\n", b"@daily\0root x\n", b"*\n"),
    *(b"0 1 * * * root\n", b"0 1 * * *\n", b"0 1 * *\n", b"0 1 * * * root\r\n", b"0 1 * * * nobody1 x\n"),
    *(b"1-70 * * * * root x\n", b"1-70/100 * * * * root x\n", b"60-1 * * * * root x\n"),
    *(b"4294967295 * * * * root x\n", b"9223372036854775807 * * * * root x\n", b"0" * 999 + b"5 * * * * root x\n"),
    *(b"0 0 * * mon/2 root x\n", b"*/ * * * * root x\n", b"*/00 * * * * root x\n", b"1- * * * * root x\n"),
    *(b"1--2 * * * * root x\n", b",1 * * * * root x\n", b"1,2, * * * * root x\n", b"0 24 * * * root x\n"),
    *(b"*/4294967296 * * * * root x\n", b"*/4294967295 * * * * root x\n", b"0 0 * * */mon root x\n"),
    *(b'A="b" # c\n', b'A="b\n', b"'A=b\n", b"A=   \n", b"A B=c\n", b"'A'=\n", b"'A'=''x\n", b"A\0=b\n"),
    *(b"A" * 997 + b"=x\n", b"0 1 * * * root " + b"x" * 999 + b"\n", b"-0 1 * * * root x\n"),
]


@pytest.mark.parametrize("added", RUNS)
def test_what_cron_tolerates_does_not_condemn_the_file(added):
    assert read_cron("blasts", JOB + added, known_users={"root"}).ignored_because == ""


@pytest.mark.parametrize("added", IGNORED)
def test_one_bad_line_condemns_the_whole_file_and_is_named(added):
    table = read_cron("blasts", JOB + added, known_users={"root"})

    assert table.ignored_because.startswith("line 2: ")
    assert not table.lines[0].enabled


@pytest.mark.parametrize("name", ["a.b", "a~", "a b", "a+b", "", "é", "a\n"])
def test_a_file_whose_name_cron_skips(name):
    assert "skips the name" in read_cron(name, JOB).ignored_because


@pytest.mark.parametrize(
    ("kwargs", "obeyed"),
    [
        ({"mode": 0o644}, True),
        ({"mode": 0o4755}, True),
        ({"mode": 0o664}, False),
        ({"mode": 0o646}, False),
        ({"owner": "root"}, True),
        ({"owner": "mail"}, False),
        ({"known_users": ["mail"]}, False),
        ({"has_user_column": False, "mode": 0o600, "owner": "-x_1"}, True),
        ({"has_user_column": False, "mode": 0o644}, False),
        ({"has_user_column": False, "known_users": ["root"]}, False),
    ],
)
def test_mode_owner_and_users_decide_too(kwargs, obeyed):
    assert (read_cron("-x_1", JOB, **kwargs).ignored_because == "") is obeyed


def test_a_users_own_table_has_no_user_column_and_may_have_a_bare_schedule():
    table = read_cron("mail.ops", b"@daily\n5 4 * * * run it\n", has_user_column=False)

    assert table.ignored_because == ""
    assert [(line.user, line.command) for line in table.lines] == [("mail.ops", ""), ("mail.ops", "run it")]


def test_variables_hold_for_the_lines_below_them():
    table = read_cron("t", b"A=1\n" + JOB + b"A = 'x y'\nB= c d \n" + JOB)

    assert [(line.number, dict(line.env)) for line in table.lines] == [
        (2, {"A": "1"}),
        (5, {"A": "x y", "B": "c d"}),
    ]


def test_a_nul_byte_ends_a_command_and_cron_reads_a_second_job_in_the_same_line():
    table = read_cron("t", b"0 1 * * * root x\0" + JOB)

    assert [(line.number, line.command) for line in table.lines] == [
        (1, "x"),
        (1, "mail-blast-runner --campaign spring --mode send"),
    ]


@pytest.mark.parametrize(
    ("written", "shell", "stdin"),
    [
        (r"run a\%b \c \\d", r"run a%b \c \d", None),
        (r"run 'a\\\%b'", r"run 'a\%b'", None),
        (r"run%1\%2\\%3%%4\x\\", "run", "1%2\\%3\n\n4\\x\\\\\n"),
        ("run%", "run", "\n"),
        ("run \\", "run \\", None),
    ],
)
def test_percent_signs_are_cut_and_unescaped_as_the_daemon_does(written, shell, stdin):
    (line,) = read_cron("t", f"0 1 * * * root {written}\n".encode()).lines

    assert (line.command, line.shell, line.stdin) == (written, shell, stdin)


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (b"CRON_TZ=Asia/Tokyo\n", "line 1: CRON_TZ does not change when jobs start"),
        (b"TZ=Asia/Tokyo\n", "line 1: TZ does not change when jobs start"),
        (b"*/90 * * * * root x\n", "line 1: minute: the step of '*/90' leaves only 0"),
        (b"0 9 31 2 * root x\n", "line 1: '0 9 31 2 *' never comes"),
        (b"0 22-2 * * * root x\n", "line 1: '0 22-2 * * *' never comes"),
        (b"0 9 * * * root date +%F\n", "line 1: the first % ends the command"),
        (b"0 9 * * * root x\r\n", "line 1: the command ends in a carriage return"),
    ],
)
def test_what_cron_accepts_but_nobody_means_is_warned_of(content, warning):
    table = read_cron("t", content)

    assert table.ignored_because == ""
    assert [said[: len(warning)] for said in table.warnings] == [warning]


def command(text, env=b""):
    return read_cron("t", env + b"0 9 * * * root " + text.encode() + b"\n").lines[0]


@pytest.mark.parametrize(
    "text",
    [
        "mail-blast-runner --campaign spring --mode send",
        "/usr/local/bin/mail-blast-runner --campaign=spring",
        "mail-blast-runner --campaign 'spring'; true",
        "cd /var/mail/campaigns/spring && ./send",
        "send --template=/var/mail//campaigns/spring/blast_template.html",
        "/opt/blast.sh spring",
        "sh -c 'cd /opt; blast spring'",
        "su mail -c \"sh -c 'blast spring'\"",
        "flock -n /run/l blast `echo spring`",
        "C=spring; blast $C",
        "C=spring blast",
        "blast --campaign $CAMPAIGN",
        "sh%blast --campaign spring",
        "xargs blast --campaign%spring",
        "blast 'spring",
        "echo '#'; blast spring # weekly",
        "blast spring>/dev/null 2>&1",
    ],
)
def test_a_line_that_concerns_the_campaign(text):
    line = command(text, b"CAMPAIGN=spring\n")

    assert mentions(line, "spring", "/usr/local/bin/mail-blast-runner", "/var/mail/campaigns/")


@pytest.mark.parametrize(
    "text",
    [
        "mail-blast-runner --campaign spring-2 --mode send",
        "mail-blast-runner --campaign=spring.old",
        "cd /var/mail/campaigns/spring-2 && ./send",
        "cd /var/mail/campaigns/spring_old && ./send",
        "mail-blast-runner --campaign offspring",
        "spring --campaign autumn",
        "mail-blast-runner --campaign autumn --mode spring",
        "mail-blast-runner --campaign autumn # copied from spring",
        "mail-blast-runner --campaign autumn >> /var/log/mail-blasts/spring.log",
        "",
    ],
)
def test_a_line_of_another_campaign(text):
    assert not mentions(command(text), "spring", "/usr/local/bin/mail-blast-runner", "/var/mail/campaigns")


def test_the_runner_itself_is_no_campaign():
    line = command("sudo mail-blast-runner --campaign autumn")

    assert not mentions(line, "mail-blast-runner", "/usr/local/bin/mail-blast-runner", "/var/mail/campaigns")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("run --mode send", True),
        ("run --mode='send'", True),
        ("run --mode dry-run && run --mode send", True),
        ("sh -c 'run --mode send'", True),
        ("run --mode dry-run --verbose", False),
        ("run --mode dry-run # --mode send", False),
        ("run --mode $MODE", None),
        ("run --mode", None),
        ("run --campaign spring", None),
    ],
)
def test_whether_a_line_sends(text, answer):
    assert is_send(command(text)) is answer


def test_switching_a_job_off_and_on_again_keeps_every_other_byte():
    table = b"# \xff caf\xc3\xa9\r\n\nA=1\n" + JOB + b"\t" + JOB + b"no newline"

    off = disable_line(table, 5)

    assert off == table.replace(b"\t" + JOB, DISABLED + b"\t" + JOB)
    assert enable_line(off, 5) == table
    seen = read_cron("t", off)
    assert [line.number for line in seen.lines] == [4]
    assert [(line.number, line.user, line.enabled, line.env) for line in seen.disabled] == [
        (5, "root", False, {"A": "1"})
    ]


@pytest.mark.parametrize("number", [0, -1, 1, 2, 3, 6, 99])
def test_only_a_job_line_can_be_switched_off(number):
    with pytest.raises(ValueError, match=f"line {number} is not a job line, nothing was changed"):
        disable_line(b"# c\n\nA=1\n" + JOB + JOB, number)


def test_only_our_own_mark_can_be_taken_off():
    with pytest.raises(ValueError, match="line 1 was not switched off here"):
        enable_line(b"#" + JOB, 1)


PIECES = [b"*", b"0", b"9", b"/", b"-", b",", b" ", b"\t", b"\n", b"\r", b"\0", b"#", b"=", b"'", b'"', b"%", b"\\"]
PIECES += [
    b"@daily",
    b"@reboot",
    b"mon",
    b"root",
    b"* * * * * root ",
    b"0 9 31 * 5 root ",
    b"$(",
    b"`",
    b"A=",
    b"7",
]
TABLES = st.binary(max_size=300) | st.lists(st.sampled_from([*PIECES, DISABLED, b"--mode"])).map(b"".join)


@settings(deadline=None)
@given(TABLES, st.booleans())
@example(DISABLED * 3000 + JOB, True)
def test_no_bytes_make_the_reader_raise(text, has_user_column):
    table = read_cron("fuzz", text, has_user_column=has_user_column, known_users={"root"} if text else None)

    for line in (*table.lines, *table.disabled):
        assert 1 <= line.number <= text.count(b"\n") + 1
        assert in_words(line)
        assert is_send(line) in (True, False, None)
        assert mentions(line, "spring", "run", "/c") in (True, False)
        line.command.encode("utf-8", "surrogateescape")


@settings(deadline=None)
@given(TABLES, st.integers(1, 9))
def test_off_and_on_again_is_the_identity(text, number):
    try:
        off = disable_line(text, number)
    except ValueError:
        return
    assert enable_line(off, number) == text
    assert len(off) == len(text) + len(DISABLED)
