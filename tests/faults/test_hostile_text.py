"""Given text from outside that would like to act, then JSON for machines holds no character a terminal obeys, and
no template gets out of its limits, whatever a row's own data makes of it."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from opsconsole.commands import common
from opsconsole.redact import visible
from runner.message.guard import ROW_SECONDS, RowTimeout, row_guard
from runner.message.template import Source, Template, TemplateError, trial
from tests.faults.support import report

pytestmark = pytest.mark.slow

ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069]")
HOSTILE = (
    "\x1b[2J\x1b[31mgone",
    "\x1b]52;c;c2VjcmV0\x07",
    '\x1bP$q"p\x1b\\',
    "\x9b2J\x9d0;owned\x9c",
    "\u202egnp.exe\u2066x",
    "[bold]x[/bold] [/today] [@click=app.quit]y[/]",
    "one\r\nBcc: all@example.com",
    "nul\\u0000here",
    "<!channel> <http://example.com|click>",
)


def test_json_is_the_same_value_when_it_is_safe_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    value = {text: [text, 'ä \U0001f600 \U000e0041 \\ " \x7f'] for text in HOSTILE}
    common.say_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert not ACTING.search(out)
    assert visible(out, keep_newlines=True) == out
    report("hostile-text-json", len(HOSTILE), len(HOSTILE), 0)


PAGES = {
    "repetition": '{{ "x" * n|int }}',
    "format": '{{ ("%" ~ n ~ "d")|format(1) }}',
    "center": '{{ "x"|center(n|int) }}',
    "indent": '{{ "a\nb"|indent(n|int) }}',
    "range": "{% for i in range(n|int) %}x{% endfor %}",
    "lipsum": "{{ lipsum(n=n|int) }}",
    "cycler": "{% set c = cycler('a', 'b') %}{% for i in range(n|int) %}{{ c.next() }}{% endfor %}",
    "class": "{{ n.__class__.__mro__ }}",
    "globals": "{{ lipsum.__globals__ }}",
    "attr": "{{ n|attr('__class__') }}",
    "format map": "{{ '{0.__class__}'.format(n) }}",
    "mul list": "{{ ([1] * n|int)|length }}",
    "replace": "{{ ('x' * 100000)|replace('x', 'y' * n|int) }}",
    "join": "{{ ([n * 100000] * 100000)|join }}",
    "sum": "{% set l = [[1] * 1000] * 100000 %}{{ l|sum(start=[])|length }}",
    "squares": "{% set s = namespace(a=n|int) %}{% for i in range(60) %}{% set s.a = s.a * s.a %}{% endfor %}",
    "doubles": "{% set s = namespace(a=n) %}{% for i in range(60) %}{% set s.a = s.a ~ s.a %}{% endfor %}{{ s.a }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ n }}",
    "round": "{{ 1.5|round(n|int, 'ceil') }}",
}
NESTED = (
    "{% set s = namespace(a=n, b=n ~ '') %}{% for i in range(n|int and 60) %}"
    "{% set s.a = [s.a, s.a] %}{% set s.b = [s.b, s.b] %}{% endfor %}"
)
ENDLESS = {
    "compared": NESTED + "{{ s.a == s.b }}",
    "sorted": NESTED + "{{ [s.a, s.b]|sort }}",
    "a key": NESTED.replace("[", "(").replace("]", ")") + "{{ {s.a: 1} }}",
}
ROW = """
import json, sys, time
from runner.message.guard import *
from runner.message.template import *
page, n = sys.argv[1], sys.argv[2]
t = Template(Source(page, "page.html", html=True))
began = time.process_time()
try:
    with row_guard():
        text = t.render({"n": n})
    said = f"{len(text)} characters"
except (TemplateError, RowTimeout) as error:
    said = f"refused: {type(error).__name__} {error}"
with row_guard():
    other = Template(Source("{{ n }} {{ '-' * 70 }} {{ [1, 2]|sum }}", "page.html"))
    assert other.render({"n": "x"}) == f"x {'-' * 70} 3", "another row, another template"
import resource
print(json.dumps({"said": said, "seconds": time.process_time() - began,
                  "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))
"""


@pytest.mark.parametrize("page", list(PAGES), ids=str)
def test_a_template_on_a_row_whose_data_makes_it_huge_is_cut_off(page: str) -> None:
    """The trial, in a child, has the first row; this is a later one, in the process that sends."""
    done = subprocess.run(
        [sys.executable, "-c", ROW, PAGES[page], "2000000000"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-600:]
    said = json.loads(done.stdout)
    report(f"hostile-text-template-{page.replace(' ', '-')}", 1, 1, int(said["mb"] > 600))
    assert "refused" in said["said"], said
    assert said["seconds"] < 4 * ROW_SECONDS
    assert said["mb"] < 600, said


@pytest.mark.parametrize("page", list(ENDLESS), ids=str)
def test_a_call_that_cannot_be_left_ends_the_process_and_says_where(page: str) -> None:
    """What is thousands of lists inside one another is small, and comparing it never comes back to Python."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ROW, ENDLESS[page], "7"], capture_output=True, text=True, timeout=120
    )
    took = time.monotonic() - began
    report(f"hostile-text-endless-{page.replace(' ', '-')}", 1, 1, int(done.returncode != -signal.SIGVTALRM))
    assert done.returncode == -signal.SIGVTALRM, (done.stdout, done.stderr[-600:])
    assert took >= ROW_SECONDS, "it wasn't endless"
    assert 'File "page.html"' in done.stderr


def test_a_constant_bomb_is_not_computed_where_nobody_guards_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ROW, "{{ (['x' * 100000] * 100000)|join }}", "1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    report("hostile-text-constants", 1, 1, int("refused" not in said["said"]))
    assert "refused" in said["said"], said
    assert said["mb"] < 600, said


def test_the_trial_of_the_first_row_cuts_them_off_too() -> None:
    for page in ("class", "center", "range"):
        found = trial([Source(PAGES[page], "page.html", html=True)], {"n": "2000000000"}, cpu_seconds=1)
        if found is None:  # not one that runs away: render() tells it
            with pytest.raises((TemplateError, RowTimeout)), row_guard():
                Template(Source(PAGES[page], "page.html", html=True)).render({"n": "2000000000"})
    report("hostile-text-trial", 3, 3, 0)
