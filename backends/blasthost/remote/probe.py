"""Runs on the blast host (Python 3.6 and later, nothing but the standard library): one look, one answer.

It reads its orders as JSON on stdin, only looks, and leaves nothing behind. Paths come from the console's
settings; names found on the host are used only when they fit the slug grammar. The credentials file is never
opened: it is only ever asked for its lstat. The answer is one zlib-packed JSON document between two marks.
"""
# ruff: noqa: RUF005, UP006, UP031, UP035 -- hosts may have Python 3.6

import base64
import hashlib
import json
import os
import pwd
import re
import subprocess
import sys
import time
import zlib
from typing import Any, Dict, Iterator, List

from backends.blasthost.remote.looking import content, hashed, kind_of_error, look, name_of, say_size, tail

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
ATTEMPT = re.compile(r"[0-9]{1,6}\Z")
FILES = ("blast_template.html", "blast_data.csv", "blast_metadata.json", "blast_template.txt")
DATA, METADATA = "blast_data.csv", "blast_metadata.json"
RUN_FILES = ("claim.json", "plan.json", "owner", "started", "finished", "released", "control", "runner.json")
QUIET = 2 * 10**9  # ns: a file changed more recently may change again under the same times

order: Dict[str, Any] = {}
begun = time.monotonic()
left_to_hash = [0]


def key(slug: str, name: str, found: List[Any]) -> bytes:
    text = "%s/%s|%d|%d|%d|%d|%d" % (slug, name, found[4], found[5], found[1], found[2], found[3])
    return short(text)


def short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=12, key=order["salt"].encode()).digest()


def slices(packed: str) -> Any:
    raw = base64.b64decode(packed)
    return {raw[at : at + 12] for at in range(0, len(raw), 12)}


def digest_of(folder: str, slug: str, name: str, found: List[Any], known: Any) -> Any:
    """What is to be told of a file's content: None when the console knows it or there is none."""
    if found[0] != "file" or key(slug, name, found) in known:
        return None
    size = found[1]
    if size > order["file_cap"]:
        return [None, None, False, "not hashed (%s)" % say_size(size)]
    if left_to_hash[0] < size or time.monotonic() - begun > order["seconds"]:
        return [None, None, False, "not hashed yet (%s): the look took long enough" % say_size(size)]
    left_to_hash[0] -= size
    try:
        return hashed(os.path.join(folder, name), name == DATA, order["file_cap"])
    except OSError as error:
        return [None, None, False, "can't be read: %s" % error.strerror]


def alive(owner: str, boot: str) -> List[bool]:
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


def run_stats(base: str, attempts: List[str], boot: str) -> Iterator[Dict[str, Any]]:
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
        out = look(os.path.join(folder, "out"))
        yield {"n": int(attempt), "stats": stats, "life": life, "out": out, "trouble": trouble}


def run_contents(base: str, attempt: str, run: Dict[str, Any]) -> None:
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


def attempts_of(base: str) -> Any:
    """(names of the newest attempts, trouble)."""
    try:
        found = [name for name in os.listdir(base) if ATTEMPT.match(name)]
    except OSError as error:
        why = kind_of_error(error)
        return [], "" if why == "missing" else "the run state can't be read: %s" % error.strerror
    return sorted(found, key=int)[-order["attempts"] :], ""


def campaign(slug: str, boot: str, now: int, known: Any, seen: Any) -> Dict[str, Any]:
    """All of one campaign, or {"s": slug, "same": key} when the console has it already."""
    folder = os.path.join(order["campaigns"], slug)
    base = os.path.join(order["state"], slug)
    at = look(folder)
    files = {name: look(os.path.join(folder, name)) for name in FILES}
    log_path = os.path.join(order["log"], slug + ".log")
    log = look(log_path)
    attempts, trouble = attempts_of(base)
    runs = list(run_stats(base, attempts, boot))
    record = {"s": slug, "d": at, "f": files, "l": log, "r": runs, "t": trouble}  # type: Dict[str, Any]
    mark = short(json.dumps(record, sort_keys=True))
    every = list(files.values()) + [log] + [x for r in runs for x in [r["out"]] + list(r["stats"].values())]
    settled = all(abs(now - max(found[2], found[3])) > QUIET for found in every if found[0] == "file")
    if mark in seen and settled:
        return {"s": slug, "same": base64.b64encode(mark).decode()}
    digests = {}
    for name in FILES:
        digest = digest_of(folder, slug, name, files[name], known)
        if digest:
            digests[name] = digest
    record["mark"] = base64.b64encode(mark).decode() if settled else ""
    record["h"] = digests
    if files[METADATA][0] == "file" and files[METADATA][1] <= order["text_cap"]:
        try:
            record["m"] = content(os.path.join(folder, METADATA), order["text_cap"])
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


def campaign_names() -> Any:
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


def state_names() -> Any:
    """Slugs with run state, though their folder may be gone."""
    try:
        return {name for name in os.listdir(order["state"]) if SLUG.match(name)}, ""
    except OSError as error:
        why = kind_of_error(error)
        return set(), "" if why == "missing" else str(error.strerror)


def cron_tables() -> List[Any]:
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


def holds() -> List[Any]:
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


def processes() -> List[Any]:
    """[runs of the runner, whether Postfix is up]."""
    wanted = os.path.basename(order["runner"]).encode()
    found, postfix = [], False  # type: List[Any], bool
    try:
        hertz, uptime = os.sysconf("SC_CLK_TCK"), float(open("/proc/uptime").read().split()[0])  # noqa: SIM115
        entries = [name for name in os.listdir("/proc") if name.isdigit()]
    except (OSError, ValueError):
        return [found, False]
    for name in entries:
        if int(name) == os.getpid():
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as stream:
                words = stream.read(8192)
            postfix = postfix or (b"postfix" in words and b"/master" in words)
            if wanted not in words or b"--campaign" not in words:
                continue
            with open("/proc/%s/stat" % name, "rb") as stream:
                fields = stream.read(4096).decode("latin-1").rpartition(")")[2].split()
            owner = name_of(pwd, os.stat("/proc/%s" % name).st_uid)
        except OSError:
            continue
        args = words.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")[:4096]
        elapsed = max(int(uptime - int(fields[19]) / hertz), 0)
        found.append([int(name), int(fields[1]), elapsed, owner, args])
    return [found[:1000], postfix]


def disks() -> List[Any]:
    found = []  # type: List[Any]
    for path in (order["campaigns"], order["log"], order["state"]):
        try:
            disk = os.statvfs(path)
        except OSError:
            continue
        inodes = disk.f_favail if disk.f_files else None
        found.append([path, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, inodes])
    return found


def first_line(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(200).decode("latin-1").strip().split("\n")[0]
    except OSError:
        return ""


def zone() -> str:
    text = first_line("/etc/timezone")
    if text:
        return text
    return os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")[2]


def memory() -> List[int]:
    try:
        with open("/proc/meminfo") as stream:
            values = dict(line.split(":", 1) for line in stream)
        return [int(values[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")]
    except (OSError, ValueError, KeyError):
        return [0, 0]


def asked(*command: str) -> str:
    """What a program says, at most 64 KiB within 2 s; "" when it fails or isn't there."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=2
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[-65536:].decode("latin-1") if done.returncode == 0 else ""


def first_there(*paths: str) -> str:
    return next((path for path in paths if os.access(path, os.X_OK)), "")


def mail_queue() -> str:
    """The last line of `postqueue -p`, to be read by the console; with Postfix down it would wait for a second."""
    program = first_there("/usr/sbin/postqueue", "/usr/local/sbin/postqueue", "/sbin/postqueue")
    lines = asked(program, "-p").strip().split("\n") if program else [""]
    return lines[-1][:200]


def logout(user: str) -> str:
    """`kills` when logind ends a user's processes at logout and nothing keeps them; else ""."""
    program = first_there("/usr/bin/busctl", "/bin/busctl")
    if os.getuid() == 0 or not program or not os.path.isdir("/run/systemd/system"):
        return ""
    service = "org.freedesktop.login1"
    said = asked(
        program, "get-property", service, "/org/freedesktop/login1", service + ".Manager", "KillUserProcesses"
    )
    kept = os.path.exists("/var/lib/systemd/linger/" + user)
    return "kills" if said.split() == ["b", "true"] and not kept else ""


def answer() -> Dict[str, Any]:
    clock = time.time()
    boot, user = first_line("/proc/sys/kernel/random/boot_id"), name_of(pwd, os.getuid())
    left_to_hash[0] = order["total_cap"]
    kind, slugs, foreign, trouble = campaign_names()
    kept, state_trouble = state_names()
    wanted = sorted(slugs | kept if order["slugs"] is None else order["slugs"])
    known, seen = slices(order["known"]), slices(order["seen"])
    records = []
    for slug in wanted:
        try:
            records.append(campaign(slug, boot, int(clock * 10**9), known, seen))
        except Exception as error:  # one campaign's trouble must not hide the others
            records.append({"s": slug, "bad": "%s: %s" % (type(error).__name__, str(error)[:300])})
    runner, running = look(os.path.realpath(order["runner"])), processes()
    return {
        "clock": clock,
        "took": 0.0,
        "machine": first_line("/etc/machine-id"),
        "boot": boot,
        "user": user,
        "hostname": os.uname()[1],
        "zone": zone(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "dir": [kind, trouble],
        "foreign": foreign,
        "campaigns": records,
        "state": look(order["state"]),
        "state_trouble": state_trouble,
        "log": look(order["log"]),
        "cron": cron_tables(),
        "holds": holds(),
        "processes": running[0],
        "disks": disks(),
        "memory": memory(),
        "load": os.getloadavg()[0],
        "queue": mail_queue() if running[1] else "",
        "logout": logout(user),
        "runner": runner,
        "runner_x": os.access(order["runner"], os.X_OK),
        "credentials": look(order["credentials"]),
    }


def main() -> None:
    order.update(json.load(sys.stdin))
    document = answer()
    document["took"] = time.monotonic() - begun
    packed = zlib.compress(json.dumps(document).encode(), 1)
    mark = ("\0" + order["nonce"]).encode()
    sys.stdout.buffer.write(mark + b" ANSWER %d\n" % len(packed) + packed + mark + b" END 0\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
