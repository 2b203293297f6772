"""Packages of npm that tests run: installed once among the temporary files, and kept for the next time."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def installed(package: str) -> Path:
    """The node_modules that has `package` (`name@version`), for NODE_PATH. No script of the package is run."""
    kept = Path(tempfile.gettempdir()) / f"opsconsole-tests-{os.getuid()}" / package
    if not (kept / "node_modules" / package.partition("@")[0]).is_dir():
        kept.parent.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=kept.parent) as new:
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
            subprocess.run(
                ["npm", "install", *options, package], cwd=new, check=True, capture_output=True, timeout=90
            )
            shutil.copytree(new, kept, dirs_exist_ok=True)
    return kept / "node_modules"
