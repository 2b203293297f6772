"""Requests, answers and pages of its API."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from backends.embedded.listmonk.people import User

PER_PAGE = 20


class Refusal(Exception):
    """An answer other than 200, in its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    body: bytes
    headers: Mapping[str, str]
    user: User | None = None
    found: Mapping[str, str] = field(default_factory=dict)  # the named parts of the path

    @property
    def who(self) -> User:
        assert self.user is not None, "a public route has no user"
        return self.user

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.one(name) in ("1", "t", "T", "TRUE", "true", "True")

    def number(self, name: str = "id") -> int:
        """An id of the path. Raises Refusal."""
        text = self.found[name]
        if not text.isdecimal() or int(text) < 1:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid ID")
        return int(text)

    def json(self) -> Any:
        """Raises Refusal."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"Syntax error: {error}") from error

    def document(self) -> dict[str, Any]:
        """The body as one table. Raises Refusal."""
        body = self.json()
        if not isinstance(body, dict):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Unmarshal type error: expected=object")
        return body


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that isn't `{"data": …}`. `frames` never end, for a stream of events."""

    body: bytes = b""
    kind: str = "application/json"
    status: int = 200
    frames: Iterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """`permissions`: any of them lets in; none means any user. `public` asks for no user at all."""

    method: str
    path: re.Pattern[str]
    permissions: tuple[str, ...]
    handler: Callable[[Any, Request], Any]
    public: bool = False


def route(
    method: str, path: str, handler: Callable[[Any, Request], Any], *permissions: str, public: bool = False
) -> Route:
    """A `:name` in the path is found under that name."""
    pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path)
    return Route(method, re.compile(pattern), permissions, handler, public)


def bare(document: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(document).encode(), status=status)


def page_of(request: Request) -> tuple[int, int]:
    """Page and rows a page; 0 rows are all of them."""
    text, page = request.one("per_page"), request.one("page")
    number = int(page) if page.isdecimal() and int(page) > 0 else 1
    if text == "all":
        return number, 0
    return number, int(text) if text.isdecimal() and int(text) > 0 else PER_PAGE


def paged(request: Request, rows: Sequence[Any], shown: Callable[[Any], Any], **said: str) -> dict[str, Any]:
    """One page. With no row to show everything else is zero as well, past the last page too."""
    page, size = page_of(request)
    part = rows[(page - 1) * size : page * size] if size else rows
    if not part:
        return {"results": [], "search": "", "query": "", "total": 0, "per_page": 0, "page": 0}
    return {
        "results": [shown(row) for row in part],
        "search": said.get("search", ""),
        "query": said.get("query", ""),
        "total": len(rows),
        "per_page": size,
        "page": page,
    }
