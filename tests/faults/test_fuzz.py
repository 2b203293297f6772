"""Given any bytes in the place of an honest text, every reader of outside text answers, or refuses in words.

Any other exception would be a crash before an operator; a slow answer would be one too.
"""

import random
import time

import pytest

from tests.faults.fuzz_targets import TARGETS, Target
from tests.faults.mutations import spoiled
from tests.faults.support import report, seed, size

SLOWEST = 2.0  # seconds of this process's own time; honest texts of this size take milliseconds


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.timeout(1200)
def test_whatever_comes_is_read_or_refused_in_words(target: Target) -> None:
    for sample in target.samples:
        try:
            target.read(sample)  # honest text is understood, else nothing below means anything
        except target.refuses as error:
            pytest.fail(f"an honest sample was refused: {error}")
    chance, cases, refused = random.Random(seed()), size(300, 100_000), 0
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
