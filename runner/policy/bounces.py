"""What a refusal is about, told from the reply. Pure.

Enhanced status codes (RFC 3463) come first, as far as they say something: 5.7.1 and its like are used for nearly
all. Then the reply code, then words that mail systems really use, then what the codes that say little usually mean.
"""

import re

from runner.channel import rejections

UNKNOWN_MAILBOX = "mailbox unknown"
FULL = "mailbox full"
BLOCKED = "blocked"  # spam, reputation, policy
GREYLISTED = "greylisted"
RATE = "rate limited"
TOO_BIG = "too big"
AUTH = "auth"  # our login, or what the account may send
DOMAIN = "domain unknown"
OTHER = "other"
CLASSES = (UNKNOWN_MAILBOX, FULL, BLOCKED, GREYLISTED, RATE, TOO_BIG, AUTH, DOMAIN, OTHER)

_LOOKED_AT = 300  # characters: what a reply is about stands at its beginning
_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")

# What an enhanced code says whatever the words are; `subject.detail`.
_CERTAIN = {
    "1.1": UNKNOWN_MAILBOX,
    "1.2": DOMAIN,
    "1.3": UNKNOWN_MAILBOX,
    "1.6": UNKNOWN_MAILBOX,
    "1.10": DOMAIN,
    "2.2": FULL,
    "2.3": TOO_BIG,
    "3.4": TOO_BIG,
    "4.4": DOMAIN,
    "4.5": RATE,
    "5.3": RATE,
    "7.8": AUTH,
    "7.9": AUTH,
    "7.11": AUTH,
    "7.12": AUTH,
    "7.13": AUTH,
    "7.14": AUTH,
    "7.20": BLOCKED,
    "7.21": BLOCKED,
    "7.22": BLOCKED,
    "7.23": BLOCKED,
    "7.24": BLOCKED,
    "7.25": BLOCKED,
    "7.26": BLOCKED,
    "7.27": BLOCKED,
    "7.28": RATE,
}
# What it most likely says when the words don't tell.
_LIKELY = {"1.0": UNKNOWN_MAILBOX, "2.0": UNKNOWN_MAILBOX, "2.1": UNKNOWN_MAILBOX}
_CODES = {454: RATE, 523: TOO_BIG, 530: AUTH, 534: AUTH, 535: AUTH, 538: AUTH, 556: DOMAIN}
_USUAL = {421: RATE, 450: GREYLISTED, 550: UNKNOWN_MAILBOX, 551: UNKNOWN_MAILBOX, 553: UNKNOWN_MAILBOX}

_WORDS = [
    (GREYLISTED, r"gr[ea]y-?\s?list"),
    (
        RATE,
        r"too many|too (?:fast|quickly|much mail)|rate.?limit|rate of|throttl|quota.{0,20}(?:messages|send|daily)"
        r"|(?:daily|hourly|sending|message|messages).{0,20}(?:quota|limit)|slow down|concurren",
    ),
    (
        AUTH,
        r"authenticat(?:ion|e).{0,20}(?:requir|fail|credential|first|invalid|unsuccess|needed)|not authenticated"
        r"|bad (?:username|credentials)|relay(?:ing)?\b.{0,30}(?:den|prohib|not (?:allowed|permitted)|disallow)"
        r"|(?:unable|not (?:allowed|permitted|authorized)) to relay|log ?in|email address is not verified",
    ),
    (
        TOO_BIG,
        r"(?:message|mail|size|content|data).{0,30}(?:too (?:big|large)|exceed\w*.{0,30}(?:size|maximum|limit))"
        r"|size (?:limit|exceed)|too large",
    ),
    (
        FULL,
        r"(?:mailbox|inbox|user|account|recipient|storage|disk|over).{0,30}(?:\bfull\b|quota|exceeded)"
        r"|out of storage|over ?quota|quota exceeded|insufficient (?:mailbox|disk) ",
    ),
    (
        DOMAIN,
        r"(?:domain|host)(?: name)?(?: or domain)?(?: name)?.{0,20}(?:not found|does ?n.t exist|does not exist"
        r"|unknown|not exist)|(?:unknown|unrouteable|no such) (?:mail )?(?:domain|host)|nxdomain|null mx|no mx"
        r"|unrouteable address|not accept(?:ing)? mail",
    ),
    (
        UNKNOWN_MAILBOX,
        r"(?:user|mailbox|recipient|address|account|addressee|person|alias)\b.{0,60}(?:unknown|not found"
        r"|does ?n.t exist|does not exist|doesn.t have|disabled|inactive|invalid|unavailable|not exist|suspended"
        r"|no longer|not known|not listed|deactivated)"
        r"|(?:unknown|no such|invalid|nonexistent|bad destination|inactive|not a known) "
        r"(?:local )?(?:user|mailbox|recipient|address|person|account|local)|no mailbox|not our customer"
        r"|not a valid (?:mailbox|user|recipient)|access denied",
    ),
    (
        BLOCKED,
        r"spam|block|black ?list|deny ?list|listed (?:at|by|in|on)|rbl|dnsbl|spamhaus|barracuda|spamcop|reputation"
        r"|policy|polic|dmarc|\bspf\b|dkim|virus|malware|phish|unsolicited|reject.{0,20}content|content.{0,20}reject"
        r"|suspicious|prohibit|banned|abuse|not accepted for|reverse dns|\bptr\b|not allowed to send|complain"
        r"|temporarily deferred|tss\d|unusual",
    ),
]
_FOUND = [(name, re.compile(words)) for name, words in _WORDS]


def bounce_class(code: int, text: str) -> str:
    """One of CLASSES for a refusal (4xx or 5xx) with this reply code and text; of a text message its own class."""
    if code and not 400 <= code < 600 and (name := text.partition(":")[0]) in rejections.CLASSES:
        return name
    text = " ".join(text[:_LOOKED_AT].lower().split())
    found = _ENHANCED.search(text)
    status = f"{int(found[2])}.{int(found[3])}" if found else ""
    if status in _CERTAIN:
        return _CERTAIN[status]
    if code in _CODES and not status:
        return _CODES[code]
    for name, words in _FOUND:
        if words.search(text):
            return name
    if status:
        return _LIKELY.get(status) or (BLOCKED if status.startswith("7.") else _CODES.get(code, OTHER))
    return _USUAL.get(code, OTHER)
