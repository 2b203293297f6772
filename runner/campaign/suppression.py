"""Who must not be mailed: lists of addresses or hashes of them, held in 8 bytes an entry.

A list has one entry a line: an address (or a telephone number with its +), the SHA-256 of the address in lower case
(64 hexadecimal digits), or our recipient key (16). Empty lines and lines that begin with # say nothing. The case of
letters never matters.
"""

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from runner.campaign import phone
from runner.campaign.address import Address, BadAddress, check, recipient_key
from runner.errors import BAD_DATA, Refused

LIST_FILE = "blast_suppressed.txt"

_HASH = re.compile("[0-9a-f]{64}")
_KEY = re.compile("[0-9a-f]{16}")
_LONGEST = 1000  # bytes of a line
_BUCKET_BITS = 12


def lists(folder: Path, host: Path | None) -> list[Path]:
    """The lists that bind the campaign in `folder`: its own where it has one, and the host's where one is named."""
    found = [] if host is None else [host]
    try:
        os.lstat(folder / LIST_FILE)
    except FileNotFoundError:
        return found
    except OSError:
        pass  # it may be there: loading it will say why it can't be read
    return [*found, folder / LIST_FILE]


class _Keys:
    """A set of 64-bit numbers in little more than their size: sorted in buckets by their first bits."""

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(1 << _BUCKET_BITS)]

    def add(self, key: int) -> None:
        self._buckets[key >> (64 - _BUCKET_BITS)].append(key)

    def sort(self) -> int:
        """To be called once, after the last add; how many there are."""
        for number, bucket in enumerate(self._buckets):  # one by one: two of everything would be too much
            self._buckets[number] = array("Q", sorted(set(bucket)))
        return sum(map(len, self._buckets))

    def __contains__(self, key: int) -> bool:
        bucket = self._buckets[key >> (64 - _BUCKET_BITS)]
        place = bisect_left(bucket, key)
        return place < len(bucket) and bucket[place] == key


class Suppressed:
    """Everybody on some lists. False when nobody is."""

    def __init__(self) -> None:
        self._keys: _Keys | None = None
        self._hashes: _Keys | None = None
        self._count = 0

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Suppressed":
        """Read the lists. Raises Refused (65) naming the file and the line, never what the line says."""
        made, keys, hashes = cls(), _Keys(), _Keys()
        for path in paths:
            _read(path, keys, hashes)
        if count := keys.sort():
            made._keys, made._count = keys, count
        if count := hashes.sort():
            made._hashes, made._count = hashes, made._count + count
        return made

    def __len__(self) -> int:
        return self._count

    def has(self, address: Address) -> bool:
        """Is this recipient on a list?"""
        if self._keys is not None and (
            address.key in self._keys
            or (not address.text.islower() and recipient_key(address.text.lower()) in self._keys)
        ):
            return True
        return self._hashes is not None and (
            int.from_bytes(sha256(address.text.lower().encode()).digest()[:8], "big") in self._hashes
        )


def _read(path: Path, keys: _Keys, hashes: _Keys) -> None:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                if line.startswith(b"\xef\xbb\xbf") and number == 1:
                    line = line[3:]
                if why := _take(line, keys, hashes):
                    raise Refused(
                        BAD_DATA,
                        f"{path} line {number}: {why}. Whom it means can't be told, so nobody is mailed; mend the "
                        "line, or put a # before it",
                    )
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            mend = "put the list there; an empty file suppresses nobody"
        else:
            mend = "give the runner the right to read it"
        raise Refused(
            BAD_DATA,
            f"{path} can't be read: {error.strerror}. Who must not be mailed can't be told, so nobody is; {mend}",
        ) from None


def _take(line: bytes, keys: _Keys, hashes: _Keys) -> str | None:
    """Take one line in; what is wrong with it, or None."""
    if len(line) == _LONGEST:
        return f"it has {_LONGEST} characters or more"
    try:
        text = line.decode().strip().lower()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    if not text or text.startswith("#"):
        return None
    if "@" in text or text.startswith("+"):
        found = check(text) if "@" in text else phone.check(text)
        if isinstance(found, BadAddress):
            return found.why
        keys.add(found.key)
    elif _HASH.fullmatch(text):
        hashes.add(int(text[:16], 16))
    elif _KEY.fullmatch(text):
        keys.add(int(text, 16))
    else:
        return "it is no address, no SHA-256 of one (64 hexadecimal digits) and no recipient key (16)"
    return None
