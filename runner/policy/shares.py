"""How campaigns that go at once divide the rate of their account. Pure.

The rule: of what there is, the campaigns of the highest priority get four fifths and those below the rest, divided
by the same rule again; the lowest priority that is there gets all that is left for it. Campaigns of one priority
get the same. So high, normal and low have 80, 16 and 4 in a hundred, high and low 80 and 20, and one alone has all.
Nobody's part is ever made less by another's end, so who hears of it late never makes the sum too much.
"""

from collections.abc import Iterable

from runner.policy.limits import PRIORITIES, Priority

_FIRST = 0.8


def portion(mine: Priority, others: Iterable[Priority]) -> float:
    """My part of the account's rate, above 0 and at most 1, beside the others that are going."""
    going = [mine, *others]
    levels = [level for level in PRIORITIES if level in going]
    left = 1.0
    for level in levels:
        part = left if level == levels[-1] else left * _FIRST
        if level == mine:
            return part / going.count(mine)
        left -= part
    raise AssertionError("the own priority is among those going")
