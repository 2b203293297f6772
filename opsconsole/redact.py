"""What may be shown and stored: secrets out, addresses masked, control characters visible.

Pure. Every text that is logged or written to the audit store goes through `Redactor.redact`; every text
from outside goes through `visible` before a terminal sees it; every exported cell through `csv_cell`.
"""

import base64
import binascii
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TypeAlias, TypeVar
from urllib.parse import quote

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
T = TypeVar("T")

GONE = "[redacted]"
MASK = "•••"

_NAMING = (
    r"(?:password|passwd|passphrase|pwd|secret|token|cookie|signature|authorization"
    r"|(?:api|access|secret|private|auth|signing|encryption|mac)[-_. ]?key)"
)
# A secret's own name, for the keys of a mapping: "smtp_password", "clientSecret", "api_key_2".
_SECRET_NAME = re.compile(rf"(?i){_NAMING}s?(?:[-_.]?(?:value|hash|text|\d+))?\Z")
# Words that say something about a secret without being one.
_HARMLESS = r"(?:present|missing|absent|unset|set|none|null|true|false|yes|no|required|ok|\*+)"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What is replaced by what. Made when first needed: compiling them would hold up every start."""
    return (
        (
            re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S),
            "[redacted private key]",
        ),
        # A header's value runs to the end of the line, or to the quote that closes a quoted header.
        (
            re.compile(
                r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\*[\"']?\s*[:=]\s*\\*[\"']?)"
                r"(?!\[redacted)(?:digest\s[^\r\n]+|[^\s\"'\\][^\r\n\"'\\]*)"
            ),
            rf"\1\2{GONE}",
        ),
        (re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"), f"Bearer {GONE}"),
        # AUTH with an initial response; a bare list of mechanisms, as EHLO answers, stays readable.
        (
            re.compile(
                r"(?i)\b(AUTH\s+(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5))\s+"
                r"(?!(?:PLAIN|LOGIN|X?OAUTH|CRAM|DIGEST|SCRAM|NTLM|GSSAPI)\b)[A-Za-z0-9+/=]{4,}"
            ),
            rf"\1 {GONE}",
        ),
        # scheme://user:password@host. The password may hold "@" and even "/"; a port is not a password.
        (
            re.compile(
                r"(://[^\s/?#:@\"'<>]*):(?!\[redacted\]@)(?!\d{1,5}[/?#])"
                r"(?:[^\s/?#\"'<>]{0,512}@|[^\s\"'<>@]{0,512}@)"
            ),
            rf"\1:{GONE}@",
        ),
        (re.compile(r"://[A-Za-z0-9_-]{20,}@"), f"://{GONE}@"),
        (
            re.compile(
                r"(?i)\b(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers))/(?!\[redacted)[^\s\"'<>]+"
            ),
            rf"\1/{GONE}",
        ),
        (re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{4,}"), GONE),
        (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), GONE),
        (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|sk_live_|rk_live_|AIza)[A-Za-z0-9_-]{16,}"), GONE),
        (re.compile(r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"), GONE),
        (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), GONE),
        # name=value, "name": "value", --name value. The look-behind keeps long words linear.
        (
            re.compile(
                rf"(?i)(?<![\w.-])([\w.-]*{_NAMING}(?:[-_.]?(?:value|hash|text|\d+))?(?:\\*[\"'])?\s*(?:=|:(?!//))\s*)"
                rf"(?!\\*[\"']?{_HARMLESS}(?=[\s,;.&\"'}})\]\\]|\Z)"
                r"|\\*[\"']?(?:(?:Basic|Bearer) )?\[redacted)"
                r"(?:(?P<quote>\\+[\"'])(?:(?!(?<!\\)(?P=quote)).)*(?:(?P=quote))?"  # quoted inside quoted JSON
                r"|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s,;&\"'}\])]+)"
            ),
            rf"\1{GONE}",
        ),
        (re.compile(rf"(?i)(?<!\S)(--?[\w-]*{_NAMING}\s+)(?!-|\[redacted)(\"[^\"]*\"|'[^']*'|\S+)"), rf"\1{GONE}"),
    )


# What every pattern needs to be there at all: most texts have none of it and are done after one look.
_HINT = re.compile(
    rf"(?i){_NAMING}|bearer|basic|auth|://|-----begin|slack|xox|xapp|akia|asia|gh[pousr]_|github_pat|glpat|[sr]k_live"
    r"|aiza|sg\.|eyj"
)
_BASIC = re.compile(r"\b[Bb]asic\s+([A-Za-z0-9+/]{4,}={0,2})")


def _basic(match: re.Match[str]) -> str:
    """HTTP Basic is told from prose ("basic information") by decoding it: it holds user:password."""
    try:
        decoded = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4))
    except binascii.Error:
        return match[0]
    return f"Basic {GONE}" if b":" in decoded else match[0]


_SHORT_TEXT, _MOST_HARMLESS = 400, 50_000


class Redactor:
    """Takes secrets out of text: known values registered with `add_secret`, and everything that looks like one.

    Safe to share between threads.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._harmless: set[str] = set()  # short texts without a secret: most come again with every look
        for secret in secrets:
            self.add_secret(secret)

    def add_secret(self, value: str) -> None:
        """Never let `value` through again, nor its URL-quoted, JSON-escaped or base64 form. Empty: ignored."""
        if not value.strip():
            return
        raw = value.encode("utf-8", "surrogatepass")
        forms = {
            value,
            quote(raw, safe=""),
            quote(raw),
            repr(value)[1:-1],
            value.replace("\\", "\\\\").replace('"', '\\"'),
        }
        forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
        self._secrets = self._secrets | forms
        # Longest first, so that a secret that contains another leaves no tail. A short one counts as a word only.
        parts = (
            re.escape(s) if len(s) >= 4 else rf"(?<!\w){re.escape(s)}(?!\w)"
            for s in sorted(self._secrets, key=lambda s: (-len(s), s))
        )
        self._known = re.compile("|".join(parts))
        self._harmless = set()

    def redact(self, text: str) -> str:
        """`text` with every secret replaced by "[redacted]". Redacting twice changes nothing."""
        harmless = self._harmless  # read before what is known: so an old set never gets what a new secret forbids
        if text in harmless:
            return text
        cleaned = self._without(text)
        if cleaned == text and len(text) <= _SHORT_TEXT:
            if len(harmless) >= _MOST_HARMLESS:
                harmless.clear()
            harmless.add(text)
        return cleaned

    def _without(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(GONE, text)
        if not _HINT.search(text):
            return text
        text = _BASIC.sub(_basic, text)
        for pattern, replacement in _patterns():
            text = pattern.sub(replacement, text)
        return text

    def clean(self, value: JSON, *, keep: frozenset[str] = frozenset(), mask: bool = True) -> JSON:
        """A JSON value with secrets out and (unless `mask` is off) addresses masked but under the keys in `keep`.

        A value under a key that names a secret ("smtp_password") goes whole, whatever it looks like.
        """
        if isinstance(value, str):
            return mask_addresses(self.redact(value)) if mask else self.redact(value)
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, Mapping):
            cleaned: dict[str, JSON] = {}
            for key, item in value.items():
                name = str(self.clean(key, mask=mask))
                while name in cleaned:  # two addresses may look alike once masked; neither may vanish
                    name += "'"
                secret = _names_secret(key, item)
                cleaned[name] = GONE if secret else self.clean(item, keep=keep, mask=mask and key not in keep)
            return cleaned
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self.clean(item, keep=keep, mask=mask) for item in value]
        return value


@lru_cache(maxsize=4096)
def _is_secret_name(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


def _names_secret(key: str, item: JSON) -> bool:
    if item is None or isinstance(item, bool) or not _is_secret_name(key):
        return False
    return not (isinstance(item, str) and re.fullmatch(_HARMLESS, item, re.IGNORECASE))


DEFAULT = Redactor()
redact = DEFAULT.redact
add_secret = DEFAULT.add_secret


class RedactingFormatter(logging.Formatter):
    """A formatter, not a filter, so that arguments and tracebacks are scrubbed after they became text."""

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, *, redactor: Redactor = DEFAULT) -> None:
        super().__init__(fmt, datefmt)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return visible(mask_addresses(self._redactor.redact(super().format(record))), keep_newlines=True)


_LOCAL = r"[^\s@<>()\[\],;:\"\\]"
# What may stand before an address without a space and is not part of it: "?to=", a quote, a slash.
_LABEL = re.compile(
    r"(?i)(?:.*[^\w.+-])?(?:to|from|cc|bcc|rcpt|e?-?mail|addr(?:ess)?|user(?:name)?|recipient|sender|reply[-_]to)='?"
    r"|['/=|?&{}`]+"
)
_ADDRESS = re.compile(
    rf"((?<!{_LOCAL}){_LOCAL}+|\"[^\"\r\n@]{{1,64}}\")@([^\W_](?:[\w-]*\w)?(?:\.[\w-]+)+|\[[0-9A-Fa-f.:]{{3,45}}\])"
)


def mask_address(address: str) -> str:
    """`john@example.com` → `j•••@example.com`. A local part of one letter is hidden whole; no "@": all hidden."""
    local, at, domain = address.rpartition("@")
    if not at:
        return MASK
    if local.endswith(MASK):
        return address
    first = local.lstrip('"')[:1] if len(local.strip('"')) > 1 else ""
    return f"{first}{MASK}@{domain}"


def mask_addresses(text: str) -> str:
    """Every e-mail address in `text` masked; `user@host` without a dot (a login) stays."""
    if "@" not in text:
        return text
    return _ADDRESS.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    label = _LABEL.match(match[1])
    start = label.end() if label and label.end() < len(match[1]) else 0
    return match[0][:start] + mask_address(match[0][start:])


# C0, DEL, C1, line and paragraph separators, bidi controls, zero-width and other invisible format
# characters, invisible letters, tag characters, lone surrogates. Arabic number signs are visible: kept.
_UNSEEN = (
    "\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u070f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ud800-\\udfff"
    "\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
)
_ESCAPED = re.compile(f"[{_UNSEEN}]")
_ESCAPED_BUT_NEWLINE = re.compile(f"(?!\\n)[{_UNSEEN}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, limit: int | None = None, *, keep_newlines: bool = False) -> str:
    """Text from outside, safe for a terminal: nothing in it acts, reorders or hides.

    `limit` is the greatest length of the answer in characters (at least 1); a cut ends in "…".
    Showing twice changes nothing. Markup is not this function's matter: pass the answer on as plain text.
    """
    if limit is not None:
        if limit < 1:
            raise ValueError("visible() needs a limit of at least 1")
        text = text[: limit + 2]  # escaping never shortens but for CR LF, so the rest can't be seen anyway
    if keep_newlines:
        shown = _ESCAPED_BUT_NEWLINE.sub(_escape, text.replace("\r\n", "\n"))
    else:
        shown = _ESCAPED.sub(_escape, text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return shown


_FORMULA = tuple("=+-@|%\t\r\n＝＋－＠")
_LEADING = re.compile(f"[\\s\\xa0{_UNSEEN}]+")


def csv_cell(value: T) -> T | str:
    """A cell no spreadsheet will compute: a text that could be a formula gets an apostrophe in front.

    Numbers stay numbers, so pass them as numbers. NUL bytes are dropped; quote every cell when writing.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "")
    bare = _LEADING.sub("", text, count=1) if _LEADING.match(text) else text
    return "'" + text if text.startswith(_FORMULA) or bare.startswith(_FORMULA) else text
