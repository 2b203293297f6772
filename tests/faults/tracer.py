"""Runs a command under ptrace, counts the file system calls of it and of all its children, and spoils one of them.

    python -m tests.faults.tracer [OPTIONS] [--at N | --on CALL:END --fault FAULT] --log FILE PREFIX… -- COMMAND…

Calls count when they touch a path below a PREFIX (or a pipe or socket: `--pipes`, `--sockets`). strace could do
this, but counts `when=` in each process apart: the second `sync` of a shell script would never be reached. Here N
counts over all; `--on` spoils each CALL (or one of several, `write|writev`) on a path that ends with END instead,
with `--holding TEXT` only those that write TEXT. FAULT is `kill` (the calling process), `kill-session` (all of the
first command's session), `kill-all`, or the name of an errno, which is what the call then gives without having been
made. FILE gets a line of JSON for each call. What the command started in the background is traced until it ends.
Linux on x86-64 only.
"""

import argparse
import base64
import ctypes
import errno
import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.calls import CALLS, CLOSE, NUMBERS, Call

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

TRACEME, CONT, GETREGS, SETREGS, SYSCALL, SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
# TRACESYSGOOD, -FORK, -VFORK, -CLONE, -EXEC, -SECCOMP, and EXITKILL: nothing outlives its tracer.
OPTIONS = 1 | 2 | 4 | 8 | 16 | 0x80 | 0x100000
SECCOMP_STOP, WALL = 7, 0x40000000
RAX, ORIG_RAX = 10, 15
ARGUMENTS = (14, 13, 12, 7, 9, 8)  # rdi rsi rdx r10 r8 r9

Registers = ctypes.c_ulonglong * 27


def ptrace(request: int, pid: int, address: Any = 0, data: Any = 0) -> None:
    if _libc.ptrace(request, pid, address, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def stop_at_file_calls() -> None:
    """A seccomp filter that wakes the tracer for the calls of the table and lets all others run at full speed."""
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load the number of the call
    numbers = sorted(CALLS)
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        code.append(struct.pack("HBBI", 0x15, left, 0, number))  # equal: go to the last line
    code += [struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000), struct.pack("HBBI", 0x06, 0, 0, 0x7FF00000)]
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`at` 0 spoils nothing, nor does an empty `on`; `record` notes what was written, where, and every result."""

    prefixes: tuple[str, ...]
    log: str
    at: int = 0
    on: str = ""
    holding: str = ""
    fault: str = ""
    root_only: bool = False
    pipes: bool = False
    sockets: bool = False
    record: bool = False


class Tracer:
    """One use each. All children of this process must be its own: it waits for any."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.prefixes = asked.prefixes + ("pipe:",) * asked.pipes + ("socket:",) * asked.sockets
        self.log = os.open(asked.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.count = 0
        self.known: set[int] = set()
        self.returning: dict[int, dict[str, Any]] = {}  # by thread: the call whose result is waited for
        self.root = 0

    def run(self, body: Callable[[], None], started: Callable[[], None] = lambda: None) -> int:
        """The exit status of `body`, which runs in a child, once all that it started has ended."""
        self.root = os.fork()
        if not self.root:
            self._become(body)
        started()
        os.waitpid(self.root, WALL)
        ptrace(SETOPTIONS, self.root, 0, OPTIONS)
        self.known.add(self.root)
        ptrace(CONT, self.root)
        rc = 0
        while True:
            try:
                pid, status = os.waitpid(-1, WALL)
            except ChildProcessError:
                os.close(self.log)
                return rc
            if os.WIFSTOPPED(status):
                with suppress(ProcessLookupError):  # it was killed while it stood still
                    self._stopped(pid, status)
            else:
                self.known.discard(pid)
                self.returning.pop(pid, None)
                if pid == self.root:
                    rc = os.waitstatus_to_exitcode(status)

    def _become(self, body: Callable[[], None]) -> None:
        code = 70
        try:
            os.setsid()
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            stop_at_file_calls()
            body()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _stopped(self, pid: int, status: int) -> None:
        event, sig = status >> 16, os.WSTOPSIG(status)
        if event == SECCOMP_STOP:
            self._entering(pid)
        elif sig == signal.SIGTRAP | 0x80:
            self._returned(pid)
            ptrace(CONT, pid)
        elif event or sig == signal.SIGTRAP:
            ptrace(CONT, pid)
        elif pid not in self.known:  # a new child's first stop
            self.known.add(pid)
            ptrace(CONT, pid)
        else:
            ptrace(CONT, pid, 0, sig)

    def _entering(self, pid: int) -> None:
        registers = Registers()
        ptrace(GETREGS, pid, 0, ctypes.byref(registers))
        call = CALLS[registers[ORIG_RAX]]
        paths = self._paths(pid, call, registers)
        if not self._counts(pid, paths):
            ptrace(CONT, pid)
            return
        self.count += 1
        seen: dict[str, Any] = {"n": self.count, "pid": pid, "call": call.name, "paths": paths}
        if self.count == self.asked.at or self._asked_for(pid, call, paths, registers):
            seen["fired"] = self.asked.fault
            if self._spoil(pid, call, registers, seen):
                return
        if self.asked.record:
            seen |= self._more(pid, call, registers)
            self.returning[pid] = seen
            ptrace(SYSCALL, pid)
            return
        self._say(seen)
        ptrace(CONT, pid)

    def _asked_for(self, pid: int, call: Call, paths: list[str], registers: Any) -> bool:
        names, _, end = self.asked.on.partition(":")
        if call.name not in names.split("|") or not any(path.endswith(end) for path in paths):
            return False
        return self.asked.holding.encode() in written(pid, call, [registers[at] for at in ARGUMENTS])

    def _spoil(self, pid: int, call: Call, registers: Any, seen: dict[str, Any]) -> bool:
        """True when the thread was dealt with."""
        fault = self.asked.fault
        if fault.startswith("kill"):
            self._say(seen)
            for victim in self._victims(pid, fault):
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            with suppress(ProcessLookupError):  # in another session than the one that was killed
                ptrace(CONT, pid)
            return True
        if NUMBERS[CLOSE] == registers[ORIG_RAX]:  # a close that fails has closed all the same
            seen["result"] = -getattr(errno, fault)
            self.returning[pid] = seen
            ptrace(SYSCALL, pid)
            return True
        self._say(seen)
        registers[ORIG_RAX] = 2**64 - 1
        registers[RAX] = 2**64 - getattr(errno, fault)
        ptrace(SETREGS, pid, 0, ctypes.byref(registers))
        ptrace(CONT, pid)
        return True

    def _victims(self, pid: int, fault: str) -> list[int]:
        if fault == "kill":
            return [process_of(pid)]
        if fault == "kill-all":
            return sorted(self.known)
        return [one for one in sorted(self.known) if session_of(one) == self.root]

    def _returned(self, pid: int) -> None:
        seen = self.returning.pop(pid, None)
        if seen is None:
            return
        registers = Registers()
        ptrace(GETREGS, pid, 0, ctypes.byref(registers))
        if "result" in seen:
            registers[RAX] = 2**64 + seen["result"]
            ptrace(SETREGS, pid, 0, ctypes.byref(registers))
        else:
            seen["result"] = ctypes.c_longlong(registers[RAX]).value
        self._say(seen)

    def _counts(self, pid: int, paths: list[str]) -> bool:
        if self.asked.root_only and process_of(pid) != self.root:
            return False
        return any(path.startswith(self.prefixes) for path in paths)

    def _paths(self, pid: int, call: Call, registers: Any) -> list[str]:
        found = []
        for kind, at in call.paths:
            value = registers[ARGUMENTS[at]]
            if kind == "fd":
                found.append(open_file(pid, value))
            elif kind == "path":
                found.append(os.path.join(directory(pid, None), text_at(pid, value)))
            else:  # a directory's descriptor, and a path below it
                below = text_at(pid, registers[ARGUMENTS[at + 1]])
                found.append(os.path.join(directory(pid, value), below).rstrip("/"))
        return found

    def _more(self, pid: int, call: Call, registers: Any) -> dict[str, Any]:
        """What a power cut needs to know: data, offsets, flags."""
        values = [registers[at] for at in ARGUMENTS]
        more: dict[str, Any] = {"args": values}
        if call.name in ("write", "pwrite64", "sendto", "writev"):
            more["data"] = base64.b64encode(written(pid, call, values)).decode()
        if call.name == "write":
            info = Path(f"/proc/{pid}/fdinfo/{values[0]}").read_text().split()
            more["pos"], more["append"] = int(info[1]), bool(int(info[3], 8) & os.O_APPEND)
        return more

    def _say(self, seen: dict[str, Any]) -> None:
        os.write(self.log, json.dumps(seen).encode() + b"\n")


def memory(pid: int, address: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(size)


def written(pid: int, call: Call, values: list[int]) -> bytes:
    """What a call is about to write, "" when it is of another kind."""
    if call.name in ("write", "pwrite64", "sendto"):
        return memory(pid, values[1], values[2])
    if call.name == "writev":
        parts = struct.iter_unpack("QQ", memory(pid, values[1], 16 * values[2]))
        return b"".join(memory(pid, address, size) for address, size in parts if size)
    return b""


def text_at(pid: int, address: int) -> str:
    found = b""
    while b"\0" not in found and len(found) < 4096:
        try:
            found += memory(pid, address + len(found), 256 - (address + len(found)) % 256)
        except OSError:
            break
    return found.partition(b"\0")[0].decode("utf-8", "replace")


def open_file(pid: int, fd: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{ctypes.c_int(fd & 0xFFFFFFFF).value}")
    except OSError:
        return ""


def directory(pid: int, fd: int | None) -> str:
    if fd is None or ctypes.c_int(fd & 0xFFFFFFFF).value == -100:
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd")
        return "/"
    return open_file(pid, fd)


def process_of(thread: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    return thread


def session_of(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    for flag in ("--root-only", "--pipes", "--sockets", "--record"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--on", default="")
    parser.add_argument("--holding", default="")
    parser.add_argument("--fault", default="")
    parser.add_argument("--log", required=True)
    parser.add_argument("prefixes", nargs="+")
    mark = sys.argv.index("--")
    asked = vars(parser.parse_args(sys.argv[1:mark]))
    command = sys.argv[mark + 1 :]

    def let_go() -> None:  # so that whoever reads our output sees the end of the command's
        for fd in (0, 1):
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)

    tracer = Tracer(Asked(**{**asked, "prefixes": tuple(asked["prefixes"])}))
    return tracer.run(lambda: os.execvp(command[0], command), let_go)


if __name__ == "__main__":
    code = main()
    sys.exit(code if code >= 0 else 128 - code)
