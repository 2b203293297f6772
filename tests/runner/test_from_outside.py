"""What the other side says may be anything: it neither stops the runner nor slows it down."""

from pathlib import Path

import pytest

from runner.policy.refusals import Refusal
from runner.record.journal import ACCEPTED, FAILED, Identity, Journal, replay

KEY = "00000000000000aa"


def test_an_answer_with_half_a_character_is_written_down_and_can_be_read_again(tmp_path: Path) -> None:
    book = Journal(tmp_path / "journal")
    book.header(Identity("run", "t", "d", 2, "c"), "boot", "1", "now")
    book.claim(1, 2)
    for row in (1, 2):
        book.begin(row, KEY, 1, f"<{row}@example.com>")
    book.accepted(1, KEY, 201, "an HTTP gateway's JSON can hold \ud800")
    book.failed(2, KEY, 21610, "\udfff\x00\n\u2028 too")
    book.close()
    assert list(replay(tmp_path / "journal", "boot").states[1:]) == [ACCEPTED, FAILED]


@pytest.mark.parametrize("endless", ["a" * 32_000, "<" * 32_000, "a@" * 16_000])
def test_two_endless_refusals_are_compared_by_how_they_begin(endless: str) -> None:
    """To compare the whole of them took seconds, in which nothing else was sent."""
    assert Refusal(None, 550, endless).likeness == Refusal(None, 550, endless[:300]).likeness  # type: ignore[arg-type]
