"""A copy of the code, in which the command line runs as in a user's checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from marina.settings import ROOT


def copied(folder: Path) -> Path:
    """Copy the code into `folder`, without data, weights and archives."""
    for package in ("models", "handlers", "marina"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def copied_with_tests(folder: Path) -> Path:
    """Copy the code and its tests, so that new files can be linted and tested."""
    copied(folder)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (".jscpd.json", "locustfile.py"):
        shutil.copy(ROOT / file, folder)
    return folder


def python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a checkout, without this process's settings of Marina."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MARINA_", "PYTHONPATH"))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def marina(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `marina`."""
    return python(checkout, "-m", "marina", *arguments)
