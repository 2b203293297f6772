"""However the network cuts the answer into pieces, body, noise and end stay what they are."""

import itertools
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.blasthost.frames import FrameReader, python_input, shell_input

NONCE = "00ff" * 8
MARK = b"\0" + NONCE.encode()
HELLO, END = MARK + b" HELLO\n", MARK + b" END 17\n"

# Text that likes to look like the beginning of a record.
body = st.lists(
    st.sampled_from([b"\0", MARK, MARK[:9], b"\0" * 3, b" END ", b"HELLO\n", b"line\n", b"x" * 50])
).map(b"".join)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(noise=body, text=body, cuts=st.lists(st.integers(0, 10_000), max_size=30))
def test_the_body_comes_out_whole_for_every_way_of_cutting(noise: bytes, text: bytes, cuts: list[int]) -> None:
    if MARK + b" END " in text or HELLO in noise:  # only who knows the nonce can write that
        return
    reader = FrameReader(NONCE)
    got = b"".join(reader.feed(piece) for piece in split(noise + HELLO + text + END + b"after", cuts))
    assert (got, reader.rc, reader.noise) == (text, 17, noise)


@pytest.mark.slow
@given(text=body, cuts=st.lists(st.integers(0, 10_000), max_size=30), missing=st.integers(1, len(END)))
def test_a_cut_answer_never_counts_as_ended(text: bytes, cuts: list[int], missing: int) -> None:
    if MARK + b" END " in text:
        return
    reader = FrameReader(NONCE)
    for piece in split((HELLO + text + END)[:-missing], cuts):
        reader.feed(piece)
    assert not reader.ended


def test_nothing_is_held_back_that_can_t_be_a_record() -> None:
    reader = FrameReader(NONCE)
    reader.feed(HELLO)
    assert reader.feed(b"a log line without an end") == b"a log line without an end"
    assert reader.feed(b"with a \0 in it") == b"with a \0 in it"


def test_without_hello_everything_is_noise() -> None:
    reader = FrameReader(NONCE)
    assert reader.feed(b"This service allows sftp connections only.\n") == b""
    assert not reader.hello
    assert reader.noise == b"This service allows sftp connections only.\n"


@pytest.mark.parametrize("data", [b"echo 'a\nb'", b"# a comment at the end", b"echo x \\", b"cat <<E\nhi\nE"])
def test_a_script_that_ends_oddly_still_gets_its_end_record(data: bytes) -> None:
    first, rest = shell_input(NONCE, data, ("a", "b c")).split(b"\n", 1)
    assert first == b"exec /bin/sh -s"
    done = subprocess.run(["/bin/sh", "-s"], input=rest, capture_output=True, check=True)
    reader = FrameReader(NONCE)
    reader.feed(done.stdout)
    assert reader.rc == 0


def test_an_echo_of_what_we_send_is_no_record() -> None:
    for sent in (shell_input(NONCE, "echo", ()), python_input(NONCE, "print()", None, "python3")):
        reader = FrameReader(NONCE)
        reader.feed(sent)
        assert not reader.hello
