#!/usr/bin/env python3
"""Check an export of the audit store without the console: python verify_export.py EXPORT --key-file KEY

Needs Python 3.9 and nothing else; docs/audit-format.md says what is checked and how. Written apart from the code
that seals the records. Exit code: 0 whole, 1 not whole, 2 the files or the arguments can't be used.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import hmac
import json
import re
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, NoReturn

KEYS = (
    "seq", "ref", "utc", "operator", "session", "environment", "campaign", "run", "action", "phase", "reason",
    "detail", "prev", "mac",
)  # fmt: skip
CLAIM = ("store", "seq", "head", "exported", "seal")
FIRST = ("format", "version", *CLAIM)
LAST = ("end", *CLAIM)
NO_RECORD = "0" * 64
LONGEST_LINE = 1 << 26
HEX = re.compile("[0-9a-f]{64}")


class Bad(Exception):
    """What is wrong with the export, in words; the line comes first."""


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        if name in found:
            raise Bad(f"the key {name!r} stands twice")
        found[name] = value
    return found


def refuse(word: str) -> NoReturn:
    raise Bad(f"{word} is no value of an export")


def parse(raw: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    """The object in one line, which must be written exactly as the console writes it."""
    if b"\0" in raw:
        raise Bad("it holds a NUL byte")
    try:
        text = raw.decode("ascii")
        value = json.loads(text, object_pairs_hook=pairs, parse_float=refuse, parse_constant=refuse)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Bad(f"it is not a line of JSON ({error})") from None
    if not isinstance(value, dict) or tuple(value) != keys:
        raise Bad(f"it doesn't hold just the keys {', '.join(keys)}, in this order")
    if json.dumps(value, ensure_ascii=True, separators=(",", ":")) != text:
        raise Bad("it isn't spelt as the console spells it: it was edited")
    for name, item in value.items():
        if isinstance(item, str) and "\0" in item:
            raise Bad(f"its {name} holds a NUL")
    return value


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_claim(value: dict[str, Any], key: bytes) -> None:
    """The store, the head and the instant that the first and the last line promise, under a seal of their own."""
    if not is_count(value["seq"]) or not all(type(value[n]) is str for n in ("store", "head", "exported", "seal")):
        raise Bad("its values have other types than were written")
    ours = hmac.new(key, b"opsconsole audit store 1\n", hashlib.sha256).hexdigest()[:16]
    if value["store"] != ours:
        raise Bad(f"it is of the store {value['store']!r}; this key is the one of store {ours}")
    promised = "\n".join(str(value[name]) for name in ("store", "seq", "head", "exported"))
    seal = hmac.new(
        key, b"opsconsole audit export 1\n" + promised.encode("utf-8", "replace"), hashlib.sha256
    ).hexdigest()
    if not hmac.compare_digest(seal.encode(), value["seal"].encode("utf-8", "replace")):
        raise Bad("its seal doesn't match: it was edited, or written without the key")


def mac_of(record: dict[str, Any], key: bytes) -> str:
    parts = [record[name] for name in KEYS[:-1]]
    texts = [str(parts[0]), "" if parts[1] is None else str(parts[1]), *parts[2:]]
    lengths = struct.pack(">13I", *(len(text) for text in texts))
    covered = b"opsconsole audit record 1\n" + lengths + "".join(texts).encode("utf-8", "surrogatepass")
    return hmac.new(key, covered, hashlib.sha256).hexdigest()


def check_record(record: dict[str, Any], expected: int, before: str, key: bytes) -> None:
    seq, ref = record["seq"], record["ref"]
    if not is_count(seq) or not (ref is None or is_count(ref)):
        raise Bad("seq or ref is no whole number")
    if seq != expected:
        twice = "it stands twice, or out of order" if seq < expected else f"record {expected} is missing"
        raise Bad(f"record {seq} stands where record {expected} should be: {twice}")
    for name in KEYS[2:]:
        if type(record[name]) is not str:
            raise Bad(f"{name} of record {seq} is no text")
    if not hmac.compare_digest(mac_of(record, key).encode(), record["mac"].encode("utf-8", "replace")):
        raise Bad(f"record {seq} doesn't match its MAC: it was edited, or written without the key")
    if record["prev"] != before:
        raise Bad(f"record {seq} doesn't follow the record before it: it is from another place")


def went_back(before: str, now: str) -> bool:
    try:
        earlier, later = (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (before, now))
    except ValueError:
        return before > now
    return earlier - later > datetime.timedelta(seconds=2)


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes, str]]:
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if not raw.endswith(b"\n"):
            yield number, raw, "it was cut off in the middle" if len(raw) < LONGEST_LINE else "it is far too long"
            return
        yield number, raw[:-1], ""


def check(file: BinaryIO, key: bytes, anchor: tuple[int, str] | None = None) -> tuple[int, str, str, list[int]]:
    """(seq, mac of the head, instant of the export, seqs before which the clock went back). Raises Bad."""
    first: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    back: list[int] = []
    number, seq, mac, utc = 0, 0, NO_RECORD, ""
    for number, raw, trouble in lines_of(file):
        try:
            if trouble:
                raise Bad(trouble)
            if last is not None:
                raise Bad("something stands after the end")
            if first is None:
                first = parse(raw, FIRST)
                if (first["format"], first["version"]) != ("opsconsole audit export", 1):
                    raise Bad("it is no export of a kind known here")
                check_claim(first, key)
            elif raw.startswith(b'{"end"'):
                last = parse(raw, LAST)
                if last["end"] is not True or any(last[name] != first[name] for name in CLAIM):
                    raise Bad("the end isn't the one the first line promises")
            else:
                record = parse(raw, KEYS)
                check_record(record, seq + 1, mac, key)
                if anchor is not None and anchor[0] == record["seq"] and anchor[1] != record["mac"]:
                    raise Bad(f"record {anchor[0]} isn't the one the anchor names: history was rewritten")
                if record["action"] == "clock-explained":
                    back = []
                elif went_back(utc, record["utc"]):
                    back.append(record["seq"])
                seq, mac, utc = record["seq"], record["mac"], record["utc"]
        except Bad as error:
            raise Bad(f"line {number}: {error}") from None
    if first is None:
        raise Bad("line 1: there is none")
    if last is None:
        raise Bad(f"line {number + 1}: the end is missing: the export was cut off after record {seq}")
    if (first["seq"], first["head"]) != (seq, mac):
        raise Bad(f"line {number}: the export promises {first['seq']} records and holds {seq}")
    if anchor is not None and anchor[0] > seq:
        raise Bad(f"line {number}: the anchor names record {anchor[0]}, the last one here is {seq}")
    return seq, mac, first["exported"], back


def read_key(path: str) -> bytes:
    with open(path, "rb") as file:
        digits = file.read(200).strip()
    if not HEX.fullmatch(digits.decode("latin-1")):
        raise ValueError(f"{path} is not 64 hex digits")
    return bytes.fromhex(digits.decode())


def read_anchor(text: str) -> tuple[int, str]:
    seq, _, mac = text.partition(":")
    if not seq.isdigit() or int(seq) < 1 or not HEX.fullmatch(mac):
        raise argparse.ArgumentTypeError("an anchor is SEQ:MAC, the MAC in 64 hex digits")
    return int(seq), mac


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check an export of the opsconsole audit store.")
    parser.add_argument("export")
    parser.add_argument("--key-file", required=True, help="the store's audit.key")
    parser.add_argument("--anchor", type=read_anchor, help="SEQ:MAC, a copy of the head kept elsewhere")
    given = parser.parse_args(arguments)
    try:
        key = read_key(given.key_file)
        with open(given.export, "rb") as file:
            seq, mac, exported, back = check(file, key, given.anchor)
    except Bad as error:
        print(f"NOT WHOLE: {error}")
        return 1
    except (OSError, ValueError) as error:
        print(f"can't check: {error}", file=sys.stderr)
        return 2
    print(f"Whole: {seq} records, exported {exported}; head {seq}:{mac}")
    if back:
        print(f"The clock was set back before record {', '.join(map(str, back[:20]))}; nobody has said why.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
