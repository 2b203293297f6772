"""How a text is written in a text message, and into how many messages it is cut. Pure.

GSM 03.38's default alphabet fits 160 characters into one message, 153 into each of several; some characters count
twice. A single character outside it makes the whole text UCS-2: 70 and 67, where those beyond U+FFFF count twice.
"""

from dataclasses import dataclass

_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_GSM = {char: bytes([code]) for code, char in enumerate(_BASIC) if code != _ESCAPE} | {
    char: bytes([_ESCAPE, code]) for char, code in _EXTENSION.items()
}
_GSM_ROOM = (160, 153)  # septets, one to a byte here
_UCS2_ROOM = (140, 134)  # bytes


@dataclass(frozen=True, slots=True)
class Encoded:
    """`parts` are the bytes of each segment (GSM unpacked, one character a byte; or UTF-16, big end first)."""

    ucs2: bool
    parts: tuple[bytes, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


def encode(text: str) -> Encoded:
    """Cut into as few segments as it takes, no character cut in two. Raises UnicodeEncodeError (lone surrogate)."""
    try:
        characters = [_GSM[char] for char in text]
    except KeyError:
        return Encoded(True, _cut([char.encode("utf-16-be") for char in text], *_UCS2_ROOM))
    return Encoded(False, _cut(characters, *_GSM_ROOM))


def outside(text: str) -> str:
    """The characters, each once, that keep a text from GSM's alphabet."""
    return "".join(dict.fromkeys(char for char in text if char not in _GSM))


def _cut(characters: list[bytes], alone: int, of_several: int) -> tuple[bytes, ...]:
    whole = b"".join(characters)
    if len(whole) <= alone:
        return (whole,)
    parts, part = [], bytearray()
    for char in characters:
        if len(part) + len(char) > of_several:
            parts.append(bytes(part))
            part.clear()
        part += char
    return (*parts, bytes(part))
