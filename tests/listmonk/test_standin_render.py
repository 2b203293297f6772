"""The part of Go's templates that the stand-in knows, and what it says of the rest."""

import pytest

from backends.embedded.listmonk.render import (
    NO_VALUE,
    Uncompilable,
    Unrenderable,
    Values,
    compiled,
    message,
    rendered,
)

ANA = Values(
    subscriber={
        "Name": "Ana <b>",
        "FirstName": "Ana",
        "Email": "ana@example.com",
        "Attribs": {"city": "Oslo", "n": 0},
    },
    campaign={"Name": "July"},
    links={"UnsubscribeURL": "https://lists.example.com/u", "TrackLink": "https://lists.example.com/l?to={url}"},
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hi {{ .Subscriber.FirstName }}", "Hi Ana"),
        ("{{.Subscriber.Name}}", "Ana &lt;b&gt;"),
        ("{{ .Subscriber.Attribs.city | upper }}", "OSLO"),
        ('{{ .Subscriber.Attribs.street | default "nowhere" }}', "nowhere"),
        ("{{ .Subscriber.Attribs.street }}.", "."),
        ("{{ if .Subscriber.Attribs.city }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .Subscriber.Attribs.n }}a{{ else }}b{{ end }}c", "bc"),
        ('{{ if eq .Campaign.Name "July" }}{{ if not .Subscriber.Attribs.n }}in{{ end }}{{ end }}', "in"),
        ("{{ if .Subscriber.Attribs.n }}{{ .Subscriber.Nothing }}{{ end }}x", "x"),  # not reached
        ("{{/* a remark */}}x", "x"),
        ('{{ TrackLink "https://example.com" . }}', "https://lists.example.com/l?to=https://example.com"),
        ('<a href="https://example.com/a@TrackLink">', '<a href="https://lists.example.com/l?to=https://example.com/a">'),
        ("{{ UnsubscribeURL }}", "https://lists.example.com/u"),
    ],
)  # fmt: skip
def test_what_comes_out(text: str, shown: str) -> None:
    compiled(text)
    assert rendered(text, ANA) == shown


def test_a_body_stands_in_its_template_and_a_plain_one_alone() -> None:
    subject, body = message(
        "To {{ .Subscriber.Name }}", "<p>x</p>", '<i>{{ template "content" . }}</i>', ANA, plain=False
    )
    assert (subject, body) == ("To Ana <b>", "<i><p>x</p></i>")  # a subject isn't HTML
    subject, body = message(
        "{{ .Subscriber.Attribs.street }}", "{{ .Subscriber.Name }}", "<i></i>", ANA, plain=True
    )
    assert (subject, body) == (NO_VALUE, "Ana <b>")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ Frist }}", 'function "Frist" not defined'),
        ("{{ .Subscriber.Name | shout }}", 'function "shout" not defined'),
        ("{{ .Subscriber.Name", "unclosed action"),
        ("{{ if .Subscriber.Name }}x", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ('{{ default "x }}', "unterminated quoted string"),
    ],
)
def test_what_cant_be_compiled(text: str, why: str) -> None:
    with pytest.raises(Uncompilable, match=why):
        compiled(text)


def test_a_field_that_isnt_there_is_found_when_it_is_rendered() -> None:
    compiled("{{ .Subscriber.Nothing }}")
    with pytest.raises(Unrenderable, match="can't evaluate field Nothing"):
        rendered("{{ .Subscriber.Nothing }}", ANA)
    with pytest.raises(Unrenderable, match="can't evaluate field first_name"):
        rendered("{{ .first_name }}", ANA)
