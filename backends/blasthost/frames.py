"""How a script travels to the host and how its end is told from a cut line.

A lost connection looks like a clean end of the output, so every script is wrapped: a HELLO record before its
first byte, an END record with its exit status after the last, on both streams. The records carry a nonce that
goes to the host over stdin only, so nothing a script prints, however hostile, can forge them; what comes
before HELLO is noise of the login shell.
"""

import json
import secrets
import shlex

# Every channel starts this, and its first line says what it becomes; so one can wait ready for any script.
# `read` takes no byte beyond the line. Nothing in it that a csh or fish as login shell would touch.
COMMAND = "exec /bin/sh -c 'IFS= read -r c && eval \"$c\"'"
SHELL = "/bin/sh"

_START_SHELL = "exec {} -s\n"
_START_PYTHON = "exec {} -I -S -c 'import sys;b=sys.stdin.buffer;exec(b.read(int(b.readline())))'\n"

_NOISE_CAP = 64 * 1024
_DIGITS = 10
GARBLED = 255  # the exit status of an end that tells none: a failure, whatever the script did

_SHELL = b"""\
printf '\\000%%s HELLO\\n' %(nonce)s; printf '\\000%%s HELLO\\n' %(nonce)s >&2
(
set -- %(args)s
%(script)s

) </dev/null
opsconsole_rc=$?
printf '\\000%%s END %%s\\n' %(nonce)s "$opsconsole_rc"; printf '\\000%%s END %%s\\n' %(nonce)s "$opsconsole_rc" >&2
exit 0
"""

_PYTHON = """\
def main(nonce, sizes):
    import io, os, traceback
    source, data = b.read(sizes[0]), b.read(sizes[1])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    def mark(text):
        sys.stdout.flush(); sys.stderr.flush()
        for fd in (1, 2):
            os.write(fd, ("\\0%s %s\\n" % (nonce, text)).encode())
    mark("HELLO")
    rc = 0
    try:
        exec(compile(source, "<opsconsole>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        rc = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        rc = 1
    mark("END %d" % rc)
    os._exit(0)
"""


def new_nonce() -> str:
    return secrets.token_hex(16)


def shell_input(nonce: str, script: str | bytes, args: tuple[str, ...], interpreter: str = SHELL) -> bytes:
    """What goes over stdin of COMMAND: the script in a subshell of its own, `args` as its "$@".

    The arguments travel here too, so neither they nor the script show in the host's process list.
    Raises ValueError on NUL bytes, which no shell can hold.
    """
    text = script.encode("utf-8", "surrogateescape") if isinstance(script, str) else script
    quoted = " ".join(map(shlex.quote, args)).encode("utf-8", "surrogateescape")
    if b"\0" in text or b"\0" in quoted:
        raise ValueError("a script or its argument contains a NUL byte")
    start = _START_SHELL.format(shlex.quote(interpreter)).encode()
    return start + _SHELL % {b"nonce": nonce.encode(), b"args": quoted, b"script": text}


def python_input(nonce: str, source: str | bytes, stdin_json: object, interpreter: str) -> bytes:
    """What goes over stdin of COMMAND; `source` finds `stdin_json` as JSON text on its sys.stdin."""
    text = source.encode() if isinstance(source, str) else source
    data = json.dumps(stdin_json).encode()
    program = f"{_PYTHON}main({nonce!r}, {(len(text), len(data))!r})\n".encode()
    start = _START_PYTHON.format(shlex.quote(interpreter)).encode()
    return start + b"%d\n" % len(program) + program + text + data


class FrameReader:
    """Takes one stream apart as it comes in: noise, body, end. Never holds back what can't be a record."""

    def __init__(self, nonce: str) -> None:
        mark = b"\0" + nonce.encode()
        self._hello, self._end = mark + b" HELLO\n", mark + b" END "
        self._held = b""
        self.hello = False
        self.rc: int | None = None
        self.noise = b""

    @property
    def ended(self) -> bool:
        return self.rc is not None

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are certain after `data`."""
        if self.ended:
            return b""
        data = self._held + data
        self._held = b""
        if not self.hello:
            before, found, after = data.partition(self._hello)
            if not found:
                self._held = _tail_that_may_start(data, self._hello)
                self.noise = (self.noise + data[: len(data) - len(self._held)])[:_NOISE_CAP]
                return b""
            self.hello, self.noise, data = True, (self.noise + before)[:_NOISE_CAP], after
        at = data.find(self._end)
        if at >= 0:
            digits, newline, _ = data[at + len(self._end) :].partition(b"\n")
            if newline or len(digits) > _DIGITS:
                self.rc = int(digits) if digits.isdigit() and len(digits) <= _DIGITS else GARBLED
            else:
                self._held = data[at:]
            return data[:at]
        self._held = _tail_that_may_start(data, self._end)
        return data[: len(data) - len(self._held)]


def _tail_that_may_start(data: bytes, mark: bytes) -> bytes:
    """The end of `data` that could be the beginning of `mark`, continued in the next chunk."""
    at = data.find(b"\0", max(0, len(data) - len(mark) + 1))
    while at >= 0:
        if mark.startswith(data[at:]):
            return data[at:]
        at = data.find(b"\0", at + 1)
    return b""
