"""Servers that do anything at any step: what is told of each mail is what became of it."""

import asyncio
import itertools
import random
from collections import Counter

import pytest

from runner.channel.port import Kind, Outcome
from tests.runner.wire.conftest import Letter, Way, account, in_a_row
from tests.support.scripted_smtp import Act, ScriptedSmtp, cut, pieces, reset, take

_REFUSALS: list[tuple[Act, ...]] = [
    ("450 4.2.0 later",),
    ("550 5.1.1 never",),
    ("421 4.3.2 bye", cut),
    ("451-4.3.0 two\r\n451 lines",),
    (pieces("452 4.3.1 full", 3),),
    ("550 5.7.1 never", reset),
    ("no reply at all",),
    ("250-one\r\n550 two",),
    (cut,),
    (reset,),
]
_STEPS: dict[str, list[tuple[Act, ...]]] = {
    "RCPT": [*_REFUSALS, (pieces("250 2.1.5 ok", 1),), ("251 2.1.5 forwarded",)],
    "DATA": [*_REFUSALS, (pieces("354 go", 1),), ("354-go\r\n354 ahead",)],
    "BODY": [(cut,), (reset,), ("552 5.3.4 too big", cut)],
    "DOT": [
        *_REFUSALS,
        (take, cut),
        (take, reset),
        (take, pieces("250 2.0.0 ok", 1)),
        ("250-2.0.0 two\r\n250 lines",),
        ("250 2.0.0 ok\r\n421 4.3.2 bye", cut),
        ("250 2.0.0 ok", reset),
    ],
}


@pytest.mark.parametrize("following", [False, True], ids=["apart", "in a row"])
@pytest.mark.parametrize("to_nobody", [False, True])
@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_given_a_server_that_does_anything_then_accepted_is_there_once_and_everything_else_but_unknown_is_not(
    way: Way, seed: int, to_nobody: bool, following: bool
) -> None:
    choice = random.Random(seed)
    server = ScriptedSmtp(data_to_nobody=to_nobody)
    people = [f"p{number}@example.com" for number in range(200)]
    for person in people:
        if choice.random() < 0.6:
            step = choice.choice(list(_STEPS))
            server.on(step, *choice.choice(_STEPS[step]), recipient=person)
    left = iter(people)
    told: dict[str, Outcome] = {}
    begun: Counter[str] = Counter()

    followed = 0

    async def work() -> None:
        wire = way.wire(account(server), per_connection=9)
        for person in left:
            told[person] = await wire.deliver(Letter(person), lambda person=person: begun.update([person]))  # type: ignore[misc]
        await wire.close()

    async def work_in_rows() -> None:
        nonlocal followed
        while row := list(itertools.islice(left, 12)):  # a wire gives it up where the server breaks a row once
            before: list[str] = []

            def begin(letter: Letter, before: list[str] = before) -> None:
                assert all(person in told for person in before), "begun before what came of the one before"
                before.append(letter.recipient)
                begun.update([letter.recipient])

            wire = way.wire(account(server), per_connection=9)
            letters = iter([Letter(person) for person in row])
            followed += await in_a_row(wire, letters, lambda letter, o: told.update({letter.recipient: o}), begin)
            await wire.close()

    async def all_of_them() -> None:
        await asyncio.gather(*[work_in_rows() if following else work() for _ in range(5)])

    way.run(all_of_them())
    server.stop()
    taken = Counter(mail.recipient for mail in server.taken)
    for person in people:
        kind = told[person].kind
        if kind is Kind.ACCEPTED:
            assert taken[person] == 1, person
        elif kind is not Kind.UNKNOWN:
            assert taken[person] == 0, (person, told[person])
        assert taken[person] <= begun[person] <= 1, "nothing arrives that wasn't marked before"
    kinds = Counter(outcome.kind for outcome in told.values())
    assert min(kinds[kind] for kind in (Kind.ACCEPTED, Kind.UNKNOWN, Kind.LOST, Kind.FAILED, Kind.DEFERRED)) > 3
    assert bool(followed) is (following and way.pipelining)
