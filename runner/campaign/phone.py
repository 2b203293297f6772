"""Is this text one phone number, and who is it? Pure: findings are returned, nothing is printed.

Only the international form with its + is taken (E.164): a national number means another person in each country,
and a wrong guess can't be taken back once it is sent.
"""

import hashlib
import re

from runner.campaign.address import Address, BadAddress

_WRITTEN = re.compile(r"\+[1-9](?:[ .()\-\u00a0\u2010\u2011]{0,2}[0-9]){6,14}")  # people put these in between
_SEVERAL = re.compile(r"[,;/|]|[0-9] ?(?:ext|x)", re.IGNORECASE)


def check(raw: str) -> Address | BadAddress:
    """Judge one cell of the phone column. Spaces, dots, dashes and brackets between the digits are left out."""
    text = raw.strip(" \t")
    if not text:
        return BadAddress("the phone number is empty")
    if _SEVERAL.search(text):
        return BadAddress("the cell has more than a number: one row, one number, no extension")
    if "(0)" in text:
        return BadAddress("the phone number has a (0) in it: leave that 0 out after the country code")
    if _WRITTEN.fullmatch(text):
        number = "+" + re.sub("[^0-9]", "", text)
        return Address(number, number_key(number))
    if not text.startswith("+"):
        return BadAddress("the phone number lacks its country code: write it like +44 20 7946 0123")
    return BadAddress("this is not a phone number: a + and 7 to 15 digits")


def number_key(number: str) -> int:
    """64 bits of BLAKE2b over the number in its strict form: the same phone has the same key."""
    return int.from_bytes(hashlib.blake2b(f"tel:{number}".encode(), digest_size=8).digest(), "big")
