"""Hostile bytes: honest samples of a format, spoiled the way broken programs and unfriendly people spoil them."""

import random
from collections.abc import Iterator, Sequence

NASTY = (
    b"\x00",
    b"\x1b]52;c;ZWNobyBoaQ==\x07",
    b"\x1b[2J\x1b[31m",
    b"\x9b2J",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\n",
    b'"',
    b"'",
    b"\\",
    b"../",
    b"$(id)",
    b"`id`",
    b"; rm -rf /",
    b"=HYPERLINK(1)",
    b"[/red][@click=app.quit]",
    b"{{ 7*7 }}",
    b"{% for x in range(10**9) %}",
    b"%s%n",
    b"-1",
    b"0",
    b"999999999999999999999999",
    b"1e309",
    b"NaN",
    b"null",
    b"true",
    b"[" * 2000,
    b'{"a":' * 600,
    b"A" * 5000,
    b" " * 300,
    b"*/0",
    b"60",
    b"9999-12-31T23:59:59+23:59",
    b"0001-01-01T00:00:00+14:00",
)


def spoiled(chance: random.Random, samples: Sequence[bytes], cases: int) -> Iterator[bytes]:
    """`cases` texts: some are noise, most are samples with one to six mutations."""
    for _ in range(cases):
        if chance.random() < 0.05:
            yield chance.randbytes(chance.randrange(200))
            continue
        data = bytearray(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            _spoil(chance, data, samples)
        yield bytes(data)


def _spoil(chance: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 8, 64)))
    match chance.randrange(8):
        case 0:
            del data[at:to]
        case 1:
            data[at:at] = chance.choice(NASTY)
        case 2:
            data[at:to] = chance.choice(NASTY)
        case 3 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 4:
            data[at:at] = data[at:to] * chance.choice((1, 3, 50))
        case 5:
            del data[at:]
        case 6:  # a piece of another sample, as when two writers share a file
            other = chance.choice(samples)
            start = chance.randrange(len(other) + 1)
            data[at:to] = other[start : start + chance.choice((1, 16, 200))]
        case _:
            data[at:to] = bytes(chance.randrange(256) for _ in range(to - at))
