"""The system calls that reach the file system, and which of their arguments say where. x86-64 only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """`paths`: the kind of an argument that leads to a file (fd, path, or `at`: a directory and a path), and where
    it stands. `writes`: it may need room on the disk."""

    name: str
    paths: tuple[tuple[str, int], ...]
    writes: bool = False


FD, PATH, AT = ("fd", 0), ("path", 0), ("at", 0)

CALLS = {
    0: Call("read", (FD,)),
    1: Call("write", (FD,), writes=True),
    2: Call("open", (PATH,), writes=True),
    3: Call("close", (FD,)),
    4: Call("stat", (PATH,)),
    5: Call("fstat", (FD,)),
    6: Call("lstat", (PATH,)),
    8: Call("lseek", (FD,)),
    17: Call("pread64", (FD,)),
    18: Call("pwrite64", (FD,), writes=True),
    20: Call("writev", (FD,), writes=True),
    21: Call("access", (PATH,)),
    33: Call("dup2", (FD,)),
    44: Call("sendto", (FD,)),
    45: Call("recvfrom", (FD,)),
    59: Call("execve", (PATH,)),
    72: Call("fcntl", (FD,)),
    73: Call("flock", (FD,)),
    74: Call("fsync", (FD,), writes=True),
    75: Call("fdatasync", (FD,), writes=True),
    76: Call("truncate", (PATH,), writes=True),
    77: Call("ftruncate", (FD,), writes=True),
    82: Call("rename", (PATH, ("path", 1)), writes=True),
    83: Call("mkdir", (PATH,), writes=True),
    84: Call("rmdir", (PATH,), writes=True),
    85: Call("creat", (PATH,), writes=True),
    86: Call("link", (PATH, ("path", 1)), writes=True),
    87: Call("unlink", (PATH,), writes=True),
    88: Call("symlink", (("path", 1),), writes=True),
    90: Call("chmod", (PATH,)),
    91: Call("fchmod", (FD,)),
    137: Call("statfs", (PATH,)),
    138: Call("fstatfs", (FD,)),
    217: Call("getdents64", (FD,)),
    257: Call("openat", (AT,), writes=True),
    258: Call("mkdirat", (AT,), writes=True),
    262: Call("newfstatat", (AT,)),
    263: Call("unlinkat", (AT,), writes=True),
    264: Call("renameat", (AT, ("at", 2)), writes=True),
    265: Call("linkat", (AT, ("at", 2)), writes=True),
    268: Call("fchmodat", (AT,)),
    269: Call("faccessat", (AT,)),
    285: Call("fallocate", (FD,), writes=True),
    306: Call("syncfs", (FD,), writes=True),
    316: Call("renameat2", (AT, ("at", 2)), writes=True),
    326: Call("copy_file_range", (FD, ("fd", 2)), writes=True),
    332: Call("statx", (AT,)),
    439: Call("faccessat2", (AT,)),
}
CLOSE = "close"
NUMBERS = {call.name: number for number, call in CALLS.items()}
WRITING = frozenset(call.name for call in CALLS.values() if call.writes)
