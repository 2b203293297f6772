"""Given any bytes in the place of an honest text, every reader of outside text answers, or refuses in words.

Any other exception would be a crash before an operator; a slow answer would be one too.
"""

import base64
import random
import time
from contextlib import suppress

import pytest

from tests.faults.fuzz_looks import AUTHORIZED, LOOKS, STOOD
from tests.faults.fuzz_targets import CONFIG, ROW, TARGETS, Target
from tests.faults.mutations import spoiled
from tests.faults.support import report, seed, size

EVERY = [
    pytest.param(target, id=target.name, marks=pytest.mark.slow if target.share > 1 else ())
    for target in (*TARGETS, *LOOKS)
]
FOUND = [
    ("access of a host", b"NOW 1\nUSER 0 YQ== YQ==\nAUTHORIZED YQ== YQ==\n"),
    ("access of a host", b"NOW 1\nUSER 0 YQ== YQ==\nHOSTKEY YQ== %s\n" % base64.b64encode(AUTHORIZED)),
    ("who we are there", b'{"expires": "0001-01-01T00:00:00+14:00"}'),
    ("dashboard row", b'{"token": "t", "status": "s", "notes": %s}' % (b"[" * 700 + b"1" + b"]" * 700)),
    ("dashboard in pages", b'{"data": [], "links": {"next": "http://["}}'),
    ("headers of an answer", b"http://[\n\n\n\n"),
    (
        "dashboard row, shown",
        ROW.replace(b"2026-05-12T10:09:00Z", b"0001-01-01T00:00:00Z"),
    ),  # for none
    ("dashboard row, shown", ROW.replace(b"552.1", b"1e300")),
    ("run state", b"RUN 1 dead 1\nFILE started %s\n" % base64.b64encode(b"0001-01-01T00:00:00+14:00")),
    ("story of a run", b"9999-12-31 23:59:59Z send started: run 1, attempt 1, 12 of 12 recipients to send\n"),
    ("report", b" " * 12 + b"far in"),
    ("key of a line", b"a:b:" + b"9" * 5000 + b":h:/x"),
    ("configuration", CONFIG.replace(b"90 s", b"9" * 40 + b" s")),
    ("what was told before", STOOD.replace(b'Z"', b'"')),
]
SLOWEST = 2.0  # seconds of this process's own time; honest texts of this size take milliseconds


@pytest.mark.parametrize("target", EVERY)
@pytest.mark.timeout(1200)
def test_whatever_comes_is_read_or_refused_in_words(target: Target) -> None:
    for sample in target.samples:
        try:
            target.read(sample)  # honest text is understood, else nothing below means anything
        except target.refuses as error:
            pytest.fail(f"an honest sample was refused: {error}")
    chance, cases, refused = random.Random(seed()), size(300, 100_000) // target.share, 0
    for data in spoiled(chance, target.samples, cases):
        began = time.process_time()
        try:
            target.read(data)
        except target.refuses:
            refused += 1
        except AssertionError:
            pytest.fail(f"it was misread: {data!r}")
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error!s:.200} on {data!r}")
        took = time.process_time() - began
        assert took < SLOWEST, f"{took:.1f} s for {data[:300]!r}"
    report(f"fuzz {target.name}", cases, cases if refused or not target.refuses else 0, 0)


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[f"{n} {name}" for n, (name, _) in enumerate(FOUND)])
def test_what_was_found_once_stays_mended(name: str, data: bytes) -> None:
    target = next(each for each in (*TARGETS, *LOOKS) if each.name == name)
    with suppress(*target.refuses):
        target.read(data)
