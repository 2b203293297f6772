"""Whatever lies in the tables, and whatever the queues say: it is judged, shown harmless, and nothing breaks."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.serverless.findings import findings
from backends.serverless.looks import Look, Tuning
from backends.serverless.pipe import Queue
from backends.serverless.reasons import grouped
from backends.serverless.ses import Account
from backends.serverless.values import plain
from opsconsole.campaign import is_slug
from opsconsole.policy import Policy
from opsconsole.verdict import Status, judge
from runner.worker.schema import CAMPAIGN, RUN
from tests.serverless.scene import NOW, ago, look, past, queue, seen

words = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["draft", "queued", "processing", "completed", "cancelled", "", "\x1b[2J", "[red]", "'; DROP"]),
    st.sampled_from(
        [ago(1), ago(90), ago(-60), "2026-05-12 10:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59+14:00"]
    ),
)
values = st.one_of(
    words,
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**9),
    st.booleans(),
    st.none(),
    st.binary(max_size=8),
    st.lists(words, max_size=2),
    st.dictionaries(st.text(max_size=3), words, max_size=2),
)
items = st.dictionaries(st.sampled_from((*CAMPAIGN, *RUN)), values, max_size=20).map(
    lambda fields: {
        **fields,
        "campaign_id": fields.get("campaign_id") if isinstance(fields.get("campaign_id"), str) else "c",
    }
)
attributes = st.dictionaries(
    st.sampled_from(
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy", "QueueArn"]
    ),
    st.one_of(st.text(max_size=12), st.sampled_from(["5", "²", "-1", "{}", "[1]", '{"maxReceiveCount": {}}'])),
    max_size=4,
)


@given(items, attributes, st.one_of(st.none(), st.floats(-1, 1e9)))
def test_any_item_is_judged_and_shown_harmless(
    item: dict[str, Any], told: dict[str, str], sent: float | None
) -> None:
    what = look(
        item,
        queue=Queue("https://sqs.us-west-2.amazonaws.com/1/q", told),
        account=Account(per_day=0.0 if sent == 0 else 100.0, sent=sent),
        history=past((9, 5, 0), (0, 5, 1)),
        reasons={item["campaign_id"]: grouped([{"state": "failed", "error": str(item)}])},
    )

    ((slug, found),) = seen(what, item).items()
    verdict = judge(slug, [found], Policy(), NOW)

    assert is_slug(slug)
    assert verdict.status in Status
    shown = [verdict.why, *(f.text for f in verdict.findings), *(line.text for line in found.evidence)]
    assert "\x1b" not in "".join(shown)
    assert all(isinstance(finding, str) for finding in findings([item], what, Tuning()))


kinds = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M", "?"])
raw = st.recursive(
    st.dictionaries(
        kinds, values | st.sampled_from(["NaN", "-Infinity", "1e999999", "0x1", "7", "1.5"]), max_size=2
    ),
    lambda inner: (
        st.fixed_dictionaries({"M": st.dictionaries(words, inner, max_size=2)})
        | st.fixed_dictionaries({"L": st.lists(inner, max_size=2)})
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from((*CAMPAIGN, *RUN)), raw, max_size=8))
def test_any_answer_of_dynamodb_can_be_read_and_judged(answer: dict[str, Any]) -> None:
    item = plain(answer)
    assert set(item) == set(answer)
    item["campaign_id"] = "spring"
    assert set(seen(look(item), item))


def test_a_look_without_anything_is_a_look() -> None:
    nothing = Look(at=NOW)
    assert (nothing.left, nothing.say_backlog(Tuning()), nothing.say_dead()) == (None, "", "")
    assert queue(3).redrive["maxReceiveCount"] == 3
    assert plain({"n": {"N": "1.5"}}) == {"n": Decimal("1.5")}
