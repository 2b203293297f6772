"""An attempt's record with a hole in it is still a record."""

from backends.blasthost.attempts import parse


def test_a_sign_of_life_that_could_not_be_read_is_none() -> None:
    """After a failing `stat`: the answer to a start that came about must not be lost to it."""
    fact = parse(["RUN 1 live 4711", "FILE started MjAyNi0wNS0xMlQxNzo1MjowMFo=", "BEAT  1778608320"])
    assert fact is not None
    assert fact.owner_alive
    assert fact.started
    assert fact.beat_ns == 0
