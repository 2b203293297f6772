"""Given a campaign that has only HTML, then the text part made from its template is the one that each row's page
would have given."""

import random

import pytest

from runner.message import plaintext, textpart
from runner.message.mail import Composer
from runner.message.template import Source, Template, TemplateError
from tests.runner.test_mail import COLUMNS, META, NOW, TO, part, read, some

# Pieces of pages, whole and broken; the first are well-behaved, so that most pages can be told from the template.
TAME = [
    "<p>Dear {{ name }},</p>",
    "<p>{{ note }}</p>\n",
    " {{ city }} ",
    "a <b>b {{ name }}</b> c",
    "<br>{{ city }}<br><br>",
    "<ul><li>{{ name }}<li> x </ul>",
    "<table><tr><td>{{ name }}<td>&nbsp;{{ city }}</table>",
    "<a href='https://example.com/{{ city }}?a=1&b={{ name }}'>read {{ name }}</a>",
    '<a href="{{ note }}">note</a> ',
    '<a href="htt{{ note }}/{{ city }}">half</a>',
    '<a href="#{{ name }}">here</a>',
    '<img alt="A {{ city }}" src="{{ note }}">',
    "<style>p{% if name %}{color:red}{% endif %} {{ name }}</style>",
    "<head><title>{{ name }}</title>{% set t = name %}</head>",
    "{% if city %}<p>In {{ city }}</p>{% elif name %} no city, {{ name }}{% else %}\n<hr>{% endif %}",
    "{% for c in (name, city) %}<li>{{ c }} {{ loop.index }}{% else %}none{% endfor %}",
    "{% for c in name[:3] %} {{ c }}{% endfor %}",
    "<p class='{% if city %}in{% else %}out{% endif %}'>x</p>",
    "{% with a = name %}<div>{{ a|upper }}</div> {% endwith %}",
    "{{ name|e }} {{ note|length }} {{ name ~ city }}",
    "<!-- {{ name }} {% if city %}x{% endif %} -->",
    "&lt;b&gt; &amp;amp; {{ note|replace('a', '') }}",
    ".{{ name }}\n.\nFrom {{ city }}",
    "{{ '  ' }}x{{ ' ' }}\n",
    " \n ",
    "{% for c in (name, note) %}<a href='{{ c }}/{{ loop.index }}'>{{ c }}{% if city %} {{ city }}{% endif %}</a>"
    "{% endfor %}",
    "{% if name %}{% if city %}\n{% endif %} {% endif %}",
    "<td>{% set q = city %}</td>{{ q }}",
    "{{ note|truncate(5) }} {{ (name, city)|join(' & ') }} {{ '%s'|format(name) }} {{ note|striptags }}",
    "{{ 1.5 }} {{ none }} {{ [name] }} {{ 10 ** 0 if false else 10 * 10 }}",
]
WILD = [
    "{{ note|safe }}",
    "&{{ name }};",
    "&am{% if city %}p;{% endif %}lt;",
    "<{{ name }}>",
    "<b{{ city }}>",
    "<a href={{ name }} title=x>u</a>",
    "<p {% if name %}title='x'{% endif %}>y</p>",
    "{% if name %}<style>{% endif %}z</style>",
    "{% if city %}<a href='https://example.com/1'>{% else %}<a href='https://example.com/2'>{% endif %}l</a>",
    "<a href='https://example.com/{% if city %}a{% else %}b{% endif %}'>m</a>",
    "<a href='{{ name }}'>{% set name = city %}n</a>",
    "<!--{{ name }}> x -->",
    "<!-- x -{{ city }}-> y -->",
    "{% set k = cycler('a', 'b') %}<i class='{{ k.next() }}'>{{ k.next() }}</i>",
    "{% macro m() %}<p>{{ name }}</p>{% endmacro %}{{ m() }}",
    "<script>if (a < b) {% if name %}</script>{% endif %}s</script>",
    "</sty{% if name %}{% endif %}le>",
    "<textarea>{{ note }}</textarea><svg><![CDATA[{{ name }}]]></svg>",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "\U000f0001<b",
    "<a href='https://example.com/'>o{% for c in city %}</a>{% endfor %}",
]


def both_ways(html: str, rows: list[dict[str, str]]) -> bool:
    """Compare them; was there a second way?"""
    page = Source(html, "page.html", html=True)
    made, whole = textpart.text_template(page), Template(page)
    if made is None:
        return False
    for values in rows:
        try:
            expected = plaintext.from_html(whole.render(values))
        except TemplateError:
            continue
        text = textpart.joined(made.render(values))
        if text is not None:
            assert decoded(text) == expected, (html, values)
    return True


def decoded(quoted: str) -> str:
    import quopri

    assert quoted.isascii()
    assert all(len(line) <= 76 and not line.startswith((".", "From ")) for line in quoted.split("\r\n"))
    return quopri.decodestring(quoted.encode()).decode().replace("\r\n", "\n")


def rows(chance: random.Random, count: int) -> list[dict[str, str]]:
    links = ["https://example.com/x", "mailto:a@example.com", "p://x", "ps://example.com", "tp://example.com"]

    def value() -> str:
        return chance.choice(["", " ", "Ann", "two words", " edge ", "\t\xa0", *links, some(chance)])

    return [{"email": "a@example.com", "name": value(), "city": value(), "note": value()} for _ in range(count)]


@pytest.mark.parametrize("piece", TAME)
def test_each_piece_of_a_page_is_told_from_its_template(piece: str) -> None:
    assert both_ways(f"x {piece} y", rows(random.Random(piece), 20))


@pytest.mark.parametrize("piece", WILD)
def test_a_row_that_could_change_how_the_page_is_parsed_is_not_guessed_at(piece: str) -> None:
    both_ways(f"x {piece} y", rows(random.Random(piece), 20))


def pages(count: int, seed: int) -> int:
    chance = random.Random(seed)
    told = 0
    for _ in range(count):
        made = chance.choices(TAME, k=chance.randrange(1, 8))
        if chance.random() < 0.3:
            made.insert(chance.randrange(len(made)), chance.choice(WILD))
        told += both_ways("".join(made), rows(chance, 6))
    return told


def test_pages_of_many_pieces_are_told_from_their_templates() -> None:
    assert pages(25, seed=3) > 10


@pytest.mark.slow
def test_hundreds_of_pages_are_told_from_their_templates() -> None:
    assert pages(500, seed=random.randrange(1 << 30)) > 250


def test_the_mail_has_the_text_of_its_page_whichever_way_it_is_made() -> None:
    page = "<p>Dear {{ name }}</p><a href='{{ city }}'>read</a>{{ note }}"
    for html in (page, page.replace("note", "note|safe"), "{% macro m() %}{% endmacro %}" + page):
        composer = Composer("may", META, html, None, COLUMNS)
        for city in ("https://example.com/a", "#", ""):
            values = ["ann@example.com", "Ann  Ü", city, "<b>bold</b> "]
            text = part(read(composer.compose(values, TO, NOW)), "plain")
            assert text == plaintext.from_html(composer.render(values).html).replace("\n", "\r\n")
            assert ("(https" in text) is (city != "#" and city != "")
            assert ("<b>" in text) is (html == page or "macro" in html)


def test_a_page_without_variables_has_its_text_made_once() -> None:
    composer = Composer("may", META, "<h1>Hello</h1><p>all of <i>you</i></p>", None, COLUMNS)
    text = part(read(composer.compose(["ann@example.com", "n", "c", ""], TO, NOW)), "plain")
    assert text == "Hello\r\n\r\nall of you\r\n"
