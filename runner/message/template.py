"""Templates: compiled once in the sandbox, tried first in a child that can be cut off. Returns findings.

A template is a program written by somebody else. The sandbox keeps it from reaching Python, `trial` keeps it
from using up the machine, and an undefined variable is an error that names its file and line.
"""

import contextlib
import difflib
import functools
import json
import os
import re
import resource
import select
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import jinja2
from jinja2 import filters, meta, nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, new_context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.message.flat import Flat, flat
from runner.message.guard import RowTimeout

TRIAL_CPU_SECONDS = 5
TRIAL_WALL_SECONDS = 15.0
TRIAL_BYTES = 1 << 30
REPEATED = 1 << 20  # characters or items that a repetition may make
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a template. `variable` and `suggestion` are set for an undefined variable."""

    file: str
    line: int | None
    what: str
    variable: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}" if self.line else self.file
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{where}: {self.what}{hint}"


class TemplateError(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Source:
    """A template's text; `html` turns escaping of values on."""

    text: str
    file: str
    html: bool = False


class Generator(CodeGenerator):
    """Computes nothing while compiling, where nobody guards it: without this, outputs of constants would be."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> str:
        if isinstance(node, nodes.TemplateData):
            return super()._output_child_to_const(node, frame, finalize)
        raise nodes.Impossible


class Sandbox(ImmutableSandboxedEnvironment):
    code_generator_class = Generator
    # 9 ** 9 ** 9 never ends and can't be interrupted; nor can what is done to a list of lists of lists
    intercepted_binops = frozenset({"**", "*"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError(f"the operator {operator} is not allowed in a template")
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int) and len(many) * times > REPEATED:
                raise SecurityError(f"a repetition makes more than {REPEATED:,} characters or items")
        return left * right


def _sum(environment: Any, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
    """jinja's sum, of numbers only: each list added to another is copied, in one call."""
    if not isinstance(start, int | float):
        raise SecurityError("sum adds numbers only")
    return filters.do_sum(environment, iterable, attribute, start)


def _line_ends(value: Any) -> Any:
    """A value's line ends become the template's own, so that a text has one kind."""
    if isinstance(value, str) and "\r" in value:
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return value


S = TypeVar("S", bound=Sandbox)


def sandbox(html: bool, kind: type[S]) -> S:
    # optimized=False: nothing is computed while compiling
    made = kind(autoescape=html, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, optimized=False)
    made.filters["sum"] = jinja2.pass_environment(_sum)
    return made


@functools.cache
def _plain(html: bool) -> Sandbox:
    made = sandbox(html, Sandbox)
    made.finalize = _line_ends
    return made


@jinja2.pass_context
def _as_it_is(_context: Any, value: Any) -> Any:
    return value


def parse(source: Source, environment: Sandbox) -> nodes.Template:
    """Raises TemplateError."""
    try:
        return environment.parse(source.text, source.file, source.file)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(_syntax(source, error)) from None
    except RecursionError:
        raise TemplateError(Finding(source.file, None, "is nested too deeply")) from None


class Template:
    """A compiled template. Raises TemplateError when the source doesn't compile.

    `tree` is compiled instead of the source's own, in the `environment` that made it."""

    def __init__(
        self, source: Source, environment: Sandbox | None = None, tree: nodes.Template | None = None
    ) -> None:
        self._file = source.file
        self._environment = environment or _plain(source.html)
        self._tree = tree = tree or parse(source, self._environment)
        self.constant = None
        if all(isinstance(node, nodes.Output | nodes.TemplateData) for node in tree.find_all(nodes.Node)):
            self.constant = "".join(node.data for node in tree.find_all(nodes.TemplateData))
        try:
            code = self._environment.compile(tree, source.file, source.file)
            globals_ = self._environment.make_globals(None)
            self._template = jinja2.Template.from_code(self._environment, code, globals_)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(_syntax(source, error)) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
            raise TemplateError(Finding(source.file, None, f"can't be compiled: {type(error).__name__}")) from None

    def flat(self, columns: Collection[str]) -> Flat | None:
        """The same without running anything, where it is nothing but text and columns and escapes nothing."""
        return None if self._environment.autoescape else flat(self._tree, columns, str, _line_ends)

    def render(self, values: Mapping[str, str]) -> str:
        """The text for one row. Raises TemplateError for whatever the template does wrong."""
        return self.pour(self._template.new_context(dict(values)))

    def pour(self, context: Context) -> str:
        """render() with the row in a context of `Contexts`."""
        try:
            try:
                return "".join(self._template.root_render_func(context))
            except Exception:
                self._environment.handle_exception()  # with the template's lines
        except RowTimeout:
            raise
        except jinja2.UndefinedError as error:
            text = error.message or "a variable is undefined"
            match = _UNDEFINED.search(text)
            name = match[1] if match else None
            known = [key for key in context.parent if key not in self._environment.globals]
            finding = Finding(self._file, self._line(error), text, name, suggest(name, known) if name else None)
            raise TemplateError(finding) from None
        except UnicodeEncodeError as error:
            what = "the text has a broken character (a lone surrogate)"
            raise TemplateError(Finding(self._file, self._line(error), what)) from None
        except Exception as error:
            # the text of a foreign exception may hold a recipient's data: its type is enough with the line
            what = str(error) if isinstance(error, SecurityError) else f"fails with {type(error).__name__}"
            raise TemplateError(Finding(self._file, self._line(error), what)) from None

    def _line(self, error: BaseException) -> int | None:
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                line = trace.tb_lineno
            trace = trace.tb_next
        return line


class Contexts:
    """Rows for the templates that are made with the same escaping: one context, filled anew for each."""

    def __init__(self, html: bool) -> None:
        self._environment = _plain(html)
        self._context = self._new()

    def of(self, values: dict[str, Any]) -> Context:
        """`values` has the global_names() too."""
        context = self._context
        if context.vars or context.exported_vars:  # what another template has set at its top level
            context = self._context = self._new()
        context.parent = values
        return context

    def forget(self) -> None:
        """After an error, which may have left anything in the context."""
        self._context = self._new()

    def _new(self) -> Context:
        return new_context(self._environment, None, {}, {}, True)


def global_names() -> dict[str, Any]:
    """What every template may use besides the row."""
    return dict(_plain(False).globals)


def _syntax(source: Source, error: jinja2.TemplateSyntaxError) -> Finding:
    return Finding(source.file, error.lineno, (error.message or "syntax error")[:300])


def suggest(name: str, known: Mapping[str, str] | Sequence[str]) -> str | None:
    """The column that was probably meant."""
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    return next((k for k in known if close and k.lower() == close[0]), None)


def unknown_variables(source: Source, columns: Sequence[str]) -> list[Finding]:
    """Variables the template uses that are no column; also a syntax error. Runs nothing of the template."""
    environment = sandbox(source.html, Sandbox)
    environment.finalize = _as_it_is
    try:
        tree = parse(source, environment)
    except TemplateError as error:
        return [error.finding]
    known = {*columns, *environment.globals}
    tracker = meta.TrackingCodeGenerator(environment)
    tracker.optimizer = None  # this, and a finalize that needs a context, keep constants from being computed
    tracker.visit(tree)
    undeclared = tracker.undeclared_identifiers - known
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in undeclared:
            lines.setdefault(name.name, name.lineno)
    return [
        Finding(source.file, line, f"{name!r} is no column", name, suggest(name, columns))
        for name, line in sorted(lines.items(), key=lambda pair: pair[1])
    ]


def trial(
    sources: Sequence[Source],
    values: Mapping[str, str],
    *,
    cpu_seconds: int = TRIAL_CPU_SECONDS,
    wall_seconds: float = TRIAL_WALL_SECONDS,
    memory: int = TRIAL_BYTES,
) -> Finding | None:
    """Compile and render once in a forked child with limits on CPU, memory and time; None when all is well.

    Only syntax errors and templates that run away are told here; what a row lacks is told by render().
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            _limit(cpu_seconds, memory)
            answer = _try(sources, values)
            os.write(write, json.dumps(asdict(answer) if answer else None).encode())
        finally:
            os._exit(0)
    os.close(write)
    try:
        said = _read_until(read, time.monotonic() + wall_seconds)
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if said:
        answer = json.loads(said)
        return Finding(**answer) if answer else None
    limit = f"{cpu_seconds} s of CPU, {memory >> 20} MiB of memory or {wall_seconds:g} s"
    return Finding(
        ", ".join(s.file for s in sources), None, f"cut off: compiling and rendering one row used more than {limit}"
    )


def _size() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _limit(cpu_seconds: int, memory: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    already = _size()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (already + memory, already + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _try(sources: Sequence[Source], values: Mapping[str, str]) -> Finding | None:
    for source in sources:
        try:
            template = Template(source)
        except TemplateError as error:
            return error.finding
        try:
            template.render(values)
        except TemplateError as error:
            if "MemoryError" in error.finding.what:
                return Finding(source.file, error.finding.line, "cut off: it needs too much memory")
        except MemoryError:
            return Finding(source.file, None, "cut off: it needs too much memory")
    return None


def _read_until(pipe: int, deadline: float) -> bytes:
    said = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            break
        chunk = os.read(pipe, 65536)
        if not chunk:
            return said
        said += chunk
    return b""
