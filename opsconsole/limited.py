"""Starts the process in which somebody else's template is tried: it has its own limits, and none of our secrets."""

import os
import subprocess
import sys


def start_limited(module: str) -> subprocess.Popen[bytes]:
    """`module` run by this Python, with pipes for input and output. Whoever starts it kills it and waits for it.

    It gets no variable of ours, as a token may stand in one; its limits it sets itself (preflight/renderer.py).
    """
    return subprocess.Popen(
        # -P: nothing in the folder the operator stands in can take the place of a library
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
        },
        start_new_session=True,
    )
