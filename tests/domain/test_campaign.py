"""Slugs and metadata: what is taken, what is refused, and that one bad key hides nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.campaign import BadSlug, MetadataError, check_slug, is_slug, parse_metadata

GOOD: dict[str, Any] = {
    "name": "Paul Simon",
    "subject": "An evening with Paul, {{ first_name }}",
    "from": "Boats <hello@example.com>",
    "reply_to": "crew@example.com",
    "expected_recipients": 2601,
    "due_at": "2026-05-12T10:00",
    "timezone": "America/Los_Angeles",
    "window": {"days": ["mon", "tue"], "from": "09:00", "to": "18:00"},
    "series": "spring",
    "round": 1,
    "rounds": 3,
    "max_rate": 20,
    "approval": {"by": "ana", "at": "2026-05-09T16:20:00-07:00", "recipients": 2601, "reference": "t-1"},
    "colour": "blue",
}


def raw(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


@pytest.mark.parametrize("slug", ["a", "paul-simon-may12", "0day", "a.b_c-d", "a" * 64])
def test_a_slug_of_the_grammar_is_taken(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "A",
            "-x",
            ".x",
            "..",
            "../x",
            "a/b",
            "a b",
            "a\n",
            "a\0",
            "; rm -rf /",
            "$(id)",
            "a" * 65,
            "é",
            "x;",
        ),
        "a\u202eb",
    ],
)
def test_a_name_outside_the_grammar_is_refused_and_shown_escaped(text: str) -> None:
    with pytest.raises(BadSlug) as caught:
        check_slug(text)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_metadata_is_read_and_unknown_keys_are_kept() -> None:
    details = parse_metadata(raw())
    assert details.problems == ()
    assert details.expected_recipients == 2601
    assert details.due is not None
    assert details.due.instant.isoformat() == "2026-05-12T17:00:00+00:00"
    assert str(details.window) == "mon, tue 09:00–18:00"
    assert details.approval is not None
    assert (details.approval.by, details.approval.recipients) == ("ana", 2601)
    assert dict(details.extra) == {"colour": "blue"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expected_recipients": "many"}, "expected_recipients: must be a whole number"),
        ({"expected_recipients": -1}, "must be a whole number"),
        ({"expected_recipients": True}, "must be a whole number"),
        ({"timezone": "Mars/Base"}, "'Mars/Base' is not a time zone"),
        ({"timezone": None}, "timezone: must be a text"),
        ({"due_at": "soon"}, "'soon' is not a time"),
        ({"due_at": "2026-03-08T02:30", "timezone": "America/New_York"}, "doesn't exist in America/New_York"),
        ({"due_at": "2026-11-01T01:30", "timezone": "America/New_York"}, "happens twice"),
        ({"window": "always"}, "window: must be"),
        ({"window": {"from": "9", "to": "18:00"}}, "A window runs from HH:MM"),
        ({"approval": "yes"}, "approval: must be"),
        ({"approval": {"by": "ana", "at": "2026-05-09 16:20"}}, "approval: must be"),
        ({"max_rate": 0}, "messages per second above 0"),
        ({"name": ["x"]}, "name: must be a text"),
    ],
)
def test_a_bad_value_is_named_and_the_rest_is_kept(changes: dict[str, Any], says: str) -> None:
    details = parse_metadata(raw(**changes))
    assert any(says in problem for problem in details.problems), details.problems
    assert details.subject == GOOD["subject"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"name": "x",}', "line 1, column"),
        (b'{\n  "name": "x"\n  "subject": "y"}', "line 3"),
        (b"[1]", "must be a JSON object"),
        (b"", "line 1, column 1"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b'{"name": "a", "name": "b"}', "has the key 'name' twice"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_object_is_refused_with_its_place(text: bytes, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        parse_metadata(text)


@pytest.mark.slow
@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_break_the_reader(text: bytes) -> None:
    try:
        details = parse_metadata(text)
    except MetadataError:
        return
    assert isinstance(details.problems, tuple)


@given(st.text(max_size=70))
def test_a_slug_can_never_leave_its_folder_or_end_a_word(text: str) -> None:
    if is_slug(text):
        assert not set(text) & set("/\\ \t\n\0'\"$`;&|<>*?")
        assert not text.startswith((".", "-"))
