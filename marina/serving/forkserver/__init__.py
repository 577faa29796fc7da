"""Workers as forks of one process that has imported their dependencies. Linux only: `Settings.forking`.

TorchServe runs `shim` instead of Python; the shim requests a fork from `server`; the forked process, `child`, runs the
worker.
"""

from pathlib import Path

SHIM = Path(__file__).resolve().with_name("shim.py")
