"""Runs on the blast host, sent before probe.py: what the machine says, whatever the campaigns."""
# ruff: noqa: UP006, UP031, UP035 -- hosts may have Python 3.6

import os
import pwd

from backends.blasthost.remote.looking import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List


def processes(runner: str) -> "List[Any]":
    """[runs of the runner, whether Postfix is up]."""
    wanted = os.path.basename(runner).encode()
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


def disks(*paths: str) -> "List[Any]":
    found = []  # type: List[Any]
    for path in paths:
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


def memory() -> "List[int]":
    try:
        with open("/proc/meminfo") as stream:
            values = dict(line.split(":", 1) for line in stream)
        names = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
        total, available, swap, unswapped = [int(values[name].split()[0]) * 1024 for name in names]
        return [total, available, swap - unswapped]
    except (OSError, ValueError, KeyError):
        return [0, 0, 0]


def asked(*command: str) -> str:
    """What a program says, at most 64 KiB within 2 s; "" when it fails or isn't there."""
    import subprocess

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
