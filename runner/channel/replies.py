"""An SMTP server's replies out of a stream of bytes, however the line cut them."""

from typing import NamedTuple

_MOST_LINE = 8192
_MOST_REPLY = 4 * _MOST_LINE


class Garbage(Exception):
    """What came is no SMTP reply; nothing after it can be trusted."""


class Reply(NamedTuple):
    code: int  # 200 to 599
    raw: bytes  # its lines without the codes, joined by line feeds

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")


class Replies:
    """Give it what arrives; complete replies come out, in order."""

    __slots__ = ("_lines", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []  # of a reply of several lines, code and all
        self._size = 0

    @property
    def halfway(self) -> bool:
        """A reply has begun and isn't complete."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are complete now. Raises Garbage."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MOST_LINE:
            raise Garbage("a reply without an end")
        found = []
        for line in lines:
            code, mark = line[:3], line[3:4]
            if mark == b" " and code.isdigit() and b"200" <= code <= b"599" and not self._lines:  # nearly always
                if len(line) > _MOST_LINE:
                    raise Garbage("a reply without an end")
                found.append(Reply(int(code), line[4:].rstrip()))
            elif (reply := self._line(line, code, mark)) is not None:
                found.append(reply)
        return found

    def _line(self, line: bytes, code: bytes, mark: bytes) -> Reply | None:
        if len(line) > _MOST_LINE or not code.isdigit() or not b"200" <= code <= b"599":
            raise Garbage(f"not a reply: {line[:60]!r}")
        if mark == b"-":
            self._size += len(line)
            if self._size > _MOST_REPLY or (self._lines and self._lines[0][:3] != code):
                raise Garbage(f"not a reply of one kind: {line[:60]!r}")
            self._lines.append(line)
            return None
        if mark not in (b" ", b"", b"\r"):
            raise Garbage(f"not a reply: {line[:60]!r}")
        if not self._lines:
            return Reply(int(code), line[4:].rstrip())
        if self._lines[0][:3] != code:
            raise Garbage(f"not a reply of one kind: {line[:60]!r}")
        lines, self._lines, self._size = [*self._lines, line], [], 0
        return Reply(int(code), b"\n".join(part[4:].rstrip() for part in lines))
