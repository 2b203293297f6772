"""Runs first where the runner is one file: its `__main__`. Any Python 3 can read it, to be told what is wrong."""
# ruff: noqa: UP031, UP036 -- an old Python has to understand it

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "mail-blast-runner needs Python 3.11 or newer, and this python3 (%s) is %d.%d.%d. Nothing was sent; "
        "install a newer python3 on this host.\n" % (sys.executable, *sys.version_info[:3])
    )
    sys.exit(78)


def held(path):  # type: (str) -> str
    """The same file under a name that stays its own. Modules and zones are read when they are first needed, which
    may be hours later, and by then another runner may have been put in its place."""
    import fcntl
    import os

    opened = os.open(path, os.O_RDONLY)
    kept = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 64)  # far from the descriptors that others count on
    os.close(opened)
    name = "/proc/self/fd/%d" % kept
    return name if os.path.exists(name) else path


if __name__ == "__main__":
    sys.path[0] = held(sys.path[0])
    from runner.cli import main

    sys.exit(main())
