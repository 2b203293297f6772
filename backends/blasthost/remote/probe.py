"""Runs on the blast host (Python 3.6 and later, nothing but the standard library): one look, one answer.

It reads its orders as JSON on stdin, only looks, and leaves nothing behind. Paths come from the console's
settings; names found on the host are used only when they fit the slug grammar. The credentials file is never
opened: it is only ever asked for its lstat. The answer, between two marks and packed by zlib, is lines of JSON:
the host first, then the campaigns, in one part or two.
"""
# ruff: noqa: RUF005, UP006, UP031, UP035 -- hosts may have Python 3.6

import binascii
import hashlib
import json
import os
import pwd
import re
import sys
import time
import zlib

from backends.blasthost.remote import machine
from backends.blasthost.remote.looking import (
    content,
    hashed,
    kind_of_error,
    look,
    name_of,
    say_size,
    sign,
    stat_of,
    tail,
    told,
)

TYPE_CHECKING = False  # importing typing would take the host longer than looking at a hundred campaigns
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
ATTEMPT = re.compile(r"[0-9]{1,6}\Z")
FILES = ("blast_template.html", "blast_data.csv", "blast_metadata.json", "blast_template.txt")
DATA, METADATA = "blast_data.csv", "blast_metadata.json"
RUN_FILES = ("claim.json", "plan.json", "owner", "started", "finished", "released", "control", "runner.json")
QUIET = 2 * 10**9  # ns: a file changed more recently may change again under the same times
ALONE = 100  # campaigns: up to here a second process isn't worth its start

order = {}  # type: Dict[str, Any]
begun = time.monotonic()
left_to_hash = [0]


def key(slug: str, name: str, found: "List[Any]") -> bytes:
    text = "%s/%s|%d|%d|%d|%d|%d" % (slug, name, found[4], found[5], found[1], found[2], found[3])
    return short(text)


def short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=12, key=order["salt"].encode()).digest()


def slices(packed: str) -> "Dict[bytes, int]":
    """The marks in an order, each with its place there."""
    raw = binascii.a2b_base64(packed)
    return {raw[at : at + 12]: at // 12 for at in range(0, len(raw), 12)}


def digest_of(path: str, name: str, found: "List[Any]", record: "Dict[str, Any]") -> "List[Any]":
    """What is to be told of a file's content; the metadata goes into the record on the way."""
    size = found[1]
    if size > order["file_cap"]:
        return [None, None, False, "not hashed (%s)" % say_size(size)]
    if left_to_hash[0] < size or time.monotonic() - begun > order["seconds"]:
        return [None, None, False, "not hashed yet (%s): the look took long enough" % say_size(size)]
    left_to_hash[0] -= size
    try:
        digest, whole = hashed(path, size, name == DATA, order["file_cap"])
        if name == METADATA and digest[0] and len(whole) <= order["text_cap"]:
            record["m"] = whole.decode("latin-1")
        return digest
    except OSError as error:
        return [None, None, False, "can't be read: %s" % error.strerror]


def alive(owner: str, boot: str) -> "List[bool]":
    """[alive, stopped] of an `owner` record: PID, start ticks, boot id."""
    parts = owner.split()
    if len(parts) != 3 or not parts[0].isdigit() or parts[2] != boot:
        return [False, False]
    try:
        with open("/proc/%d/stat" % int(parts[0]), "rb") as stream:
            fields = stream.read(4096).decode("latin-1").rpartition(")")[2].split()
    except OSError:
        return [False, False]
    if len(fields) < 20 or fields[19] != parts[1] or fields[0] in "ZX":
        return [False, False]
    return [True, fields[0] in "Tt"]


def run_stats(base: str, attempts: "List[str]", boot: str) -> "Iterator[Dict[str, Any]]":
    """The stats of each attempt and the life of its owner: what tells whether anything changed.

    The owner is looked at before `finished`: an owner that is gone has then written all it ever will.
    """
    for attempt in attempts:
        folder = os.path.join(base, attempt)
        life, trouble = [False, False], ""
        if look(os.path.join(folder, "finished"))[0] == "missing":
            try:
                life = alive(content(os.path.join(folder, "owner"), 256), boot)
            except OSError as error:
                if kind_of_error(error) != "missing":
                    trouble = "owner can't be read: %s" % error.strerror
        stats = {name: look(os.path.join(folder, name)) for name in RUN_FILES}
        out, beat = look(os.path.join(folder, "out")), look(os.path.join(folder, "beat"))
        yield {"n": int(attempt), "stats": stats, "life": life, "out": out, "beat": beat, "trouble": trouble}


def run_contents(base: str, attempt: str, run: "Dict[str, Any]") -> None:
    """Adds the texts of an attempt's files and the end of its output."""
    folder, texts = os.path.join(base, attempt), {}
    for name, found in run["stats"].items():
        if found[0] == "missing":
            continue
        try:
            texts[name] = content(os.path.join(folder, name), order["text_cap"])
        except OSError as error:
            texts[name] = ""
            run["trouble"] = run["trouble"] or "%s can't be read: %s" % (name, error.strerror)
    run["texts"] = texts
    if run["out"][0] == "file":
        try:
            run["tail"] = tail(os.path.join(folder, "out"), run["out"][1], order["tail"])
        except OSError as error:
            run["trouble"] = run["trouble"] or "out can't be read: %s" % error.strerror


def attempts_of(base: str) -> "Any":
    """(names of the newest attempts, trouble)."""
    try:
        found = [name for name in os.listdir(base) if ATTEMPT.match(name)]
    except OSError as error:
        why = kind_of_error(error)
        return [], "" if why == "missing" else "the run state can't be read: %s" % error.strerror
    return sorted(found, key=int)[-order["attempts"] :], ""


def campaign(slug: str, boot: str, now: int, listed: "Any", known: "Any", seen: "Any") -> "Any":
    """All of one campaign, or its place in the order's `seen` when the console has it already."""
    folder, base = order["campaigns"] + "/" + slug, order["state"] + "/" + slug
    log_path = "%s/%s.log" % (order["log"], slug)
    paths = [folder, log_path] + [folder + "/" + name for name in FILES]
    every = [stat_of(path) for path in paths]
    attempts, trouble = attempts_of(base) if listed is None or slug in listed else ([], "")
    runs = list(run_stats(base, attempts, boot))
    changes = [max(x.st_mtime_ns, x.st_ctime_ns) for x in every[1:] if isinstance(x, os.stat_result)]
    for run in runs:
        changes += [
            max(x[2], x[3]) for x in [run["out"], run["beat"]] + list(run["stats"].values()) if x[0] == "file"
        ]
    settled = all(abs(now - changed) > QUIET for changed in changes)
    mark = short("|".join([slug, trouble] + [sign(found) for found in every] + [repr(run) for run in runs]))
    if settled and mark in seen:
        return seen[mark]
    at, log = told(every[0]), told(every[1])
    files = dict(zip(FILES, [told(found) for found in every[2:]]))  # noqa: B905
    record = {"s": slug, "d": at, "f": files, "l": log, "r": runs, "t": trouble}  # type: Dict[str, Any]
    digests = {}
    for name, path in zip(FILES, paths[2:]):  # noqa: B905
        if files[name][0] == "file" and key(slug, name, files[name]) not in known:
            digests[name] = digest_of(path, name, files[name], record)
    record["mark"] = binascii.b2a_base64(mark).decode().strip() if settled else ""
    record["h"] = digests
    if "m" not in record and files[METADATA][0] == "file" and files[METADATA][1] <= order["text_cap"]:
        try:
            record["m"] = content(folder + "/" + METADATA, order["text_cap"])
        except OSError as error:
            files[METADATA][9] = files[METADATA][9] or "can't be read: %s" % error.strerror
    if log[0] == "file":
        try:
            record["lt"] = tail(log_path, log[1], order["tail"])
        except OSError as error:
            log[9] = "can't be read: %s" % error.strerror
    for attempt, run in zip(attempts, runs):  # noqa: B905
        run_contents(base, attempt, run)
    return record


def part(slugs: "List[str]", boot: str, now: int, listed: "Any", known: "Any", seen: "Any") -> bytes:
    """A line of JSON: which of `seen` are the same, as a 1 at their places, and the records of the others."""
    same, records = bytearray(b"0") * len(seen), []
    for slug in slugs:
        try:
            found = campaign(slug, boot, now, listed, known, seen)
        except Exception as error:  # one campaign's trouble must not hide the others
            found = {"s": slug, "bad": ascii("%s: %s" % (type(error).__name__, str(error)[:300]))}
        if isinstance(found, int):
            same[found : found + 1] = b"1"
        else:
            records.append(found)
    return json.dumps({"same": same.decode(), "records": records}, separators=(",", ":")).encode() + b"\n"


def parts(slugs: "List[str]", *how: "Any") -> "List[bytes]":
    """Everything about these campaigns; of many, every other one is looked at by a process of its own."""
    if len(slugs) <= ALONE or (os.cpu_count() or 1) < 2:
        return [part(slugs, *how)]
    left_to_hash[0] //= 2
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no more processes for this user
        os.close(reading)
        os.close(writing)
        return [part(slugs[::2], *how), part(slugs[1::2], *how)]
    if child == 0:
        try:
            with os.fdopen(writing, "wb") as stream:
                stream.write(part(slugs[1::2], *how))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        mine, other = part(slugs[::2], *how), stream.read()
    os.waitpid(child, 0)
    return [mine, other if other.endswith(b"\n") else part(slugs[1::2], *how)]


def campaign_names() -> "Any":
    """(kind of the folder, slugs, other entries, trouble)."""
    where = look(order["campaigns"])
    slugs, foreign = set(), []
    kind, trouble = where[0], where[9]
    try:
        for raw in os.listdir(os.fsencode(order["campaigns"])):
            name = raw.decode("utf-8", "replace")
            if SLUG.match(name):
                slugs.add(name)
            else:
                foreign.append(name[:200])
        kind = "folder"
    except OSError as error:
        kind, trouble = kind_of_error(error), str(error.strerror)
    return kind, slugs, sorted(foreign)[: order["foreign"]], trouble


def state_names() -> "Tuple[Any, str]":
    """(slugs with run state, though their folder may be gone; None when that can't be told, trouble)."""
    try:
        return {name for name in os.listdir(order["state"]) if SLUG.match(name)}, ""
    except OSError as error:
        why = kind_of_error(error)
        return (set(), "") if why == "missing" else (None, str(error.strerror))


def cron_tables() -> "List[Any]":
    tables = []  # type: List[Any]
    for path in order["cron"]:
        found, text = look(path), None
        if found[0] == "file" and found[1] <= order["cron_cap"]:
            try:
                text = content(path, order["cron_cap"])
            except OSError as error:
                found[9] = "can't be read: %s" % error.strerror
        elif found[0] == "file":
            found[9] = "not read (%s)" % say_size(found[1])
        tables.append([path, found, text])
    return tables


def holds() -> "List[Any]":
    base = os.path.join(os.path.dirname(order["state"].rstrip("/")) or "/", "holds")
    try:
        entries = os.listdir(base)
    except OSError as error:
        return [] if kind_of_error(error) == "missing" else [["ALL", "", True]]
    found = []  # type: List[Any]
    for name in sorted(entries)[:1000]:
        if name != "ALL" and not SLUG.match(name):
            continue
        try:
            found.append([name, content(os.path.join(base, name), 4096), False])
        except OSError:
            found.append([name, "", True])
    return found


def answer() -> "Tuple[Dict[str, Any], List[bytes]]":
    clock = time.time()
    boot, user = machine.first_line("/proc/sys/kernel/random/boot_id"), name_of(pwd, os.getuid())
    left_to_hash[0] = order["total_cap"]
    kind, slugs, foreign, trouble = campaign_names()
    kept, state_trouble = state_names()
    wanted = sorted(slugs | (kept or set()) if order["slugs"] is None else order["slugs"])
    known, seen = slices(order["known"]), slices(order["seen"])
    campaigns = parts(wanted, boot, int(clock * 10**9), kept, known, seen)
    runner, running = look(os.path.realpath(order["runner"])), machine.processes(order["runner"])
    host = {
        "clock": clock,
        "took": 0.0,
        "machine": machine.first_line("/etc/machine-id"),
        "boot": boot,
        "user": user,
        "hostname": os.uname()[1],
        "zone": machine.zone(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "dir": [kind, trouble],
        "foreign": foreign,
        "state": look(order["state"]),
        "state_trouble": state_trouble,
        "log": look(order["log"]),
        "cron": cron_tables(),
        "holds": holds(),
        "processes": running[0],
        "disks": machine.disks(order["campaigns"], order["log"], order["state"]),
        "memory": machine.memory(),
        "load": os.getloadavg()[0],
        "queue": machine.mail_queue() if running[1] else "",
        "logout": machine.logout(user),
        "runner": runner,
        "runner_x": os.access(order["runner"], os.X_OK),
        "credentials": look(order["credentials"]),
    }  # type: Dict[str, Any]
    return host, campaigns


def main() -> None:
    order.update(json.load(sys.stdin))
    for name in ("campaigns", "log", "state"):
        order[name] = order[name].rstrip("/") or "/"
    host, campaigns = answer()
    host["took"] = time.monotonic() - begun
    packed = zlib.compress(json.dumps(host).encode() + b"\n" + b"".join(campaigns), 1)
    mark = ("\0" + order["nonce"]).encode()
    sys.stdout.buffer.write(mark + b" ANSWER %d\n" % len(packed) + packed + mark + b" END 0\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
