"""Confinement of workers: the files that code from an archive may read and write, by Landlock.

A worker reads Python, system libraries and its own model; it writes its own temporary folder and the gallery. Signing
keys, TorchServe's tokens, the database, other models and their temporary files are out of reach, and so is the memory
of any process outside. The rules depend on nothing that a client of the fork server sends but the model's folder, which
must lie among those that TorchServe unpacked.
"""

import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from marina.security import capabilities, landlock
from marina.security.landlock import DEVICE, READ, WRITE, Access

PACKAGE = Path(__file__).resolve().parents[2]  # marina: metrics.yaml, and modules that are imported late
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/proc", "/sys")
# Of /etc only what libraries read, and nothing that holds a secret.
ETC = (
    *("alternatives", "fonts", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "mime.types", "nsswitch.conf", "OpenCL", "os-release", "passwd", "pki", "resolv.conf", "services"),
    *("ssl/certs", "ssl/openssl.cnf", "timezone", "ca-certificates"),
)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
GPUS = ("nvidia*", "dri", "kfd")


def python_folders() -> set[Path]:
    """Return the folders that hold this Python, its libraries and the installed packages."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    parts = {Path(prefix, part) for prefix in prefixes for part in ("bin", "lib", "lib64", "share", "pyvenv.cfg")}
    named = {*sysconfig.get_paths().values(), *site.getsitepackages(), *filter(None, sys.path)}
    parts |= {Path(name) for name in named if "site-packages" in name or "dist-packages" in name or "lib" in name}
    return parts | {Path(sys.executable).resolve().parent}


class Confinement:
    """The rules of every worker. `sockets` is TorchServe's temporary folder, in which it unpacks models."""

    def __init__(self, sockets: Path, gallery: Path, folders: Iterable[Path] = ()) -> None:
        self._sockets, self._models = sockets, sockets.resolve() / "models"
        self._rules: dict[Path, Access] = dict.fromkeys(map(Path, SYSTEM), READ)
        self._rules |= dict.fromkeys((Path("/etc", name) for name in ETC), READ)
        self._rules |= dict.fromkeys(python_folders() | {PACKAGE, *folders}, READ)
        devices = [Path("/dev", name) for name in DEVICES] + [path for name in GPUS for path in Path("/dev").glob(name)]
        self._rules |= dict.fromkeys(devices, DEVICE)
        self._rules[gallery] = WRITE

    def apply(self, number: str, folder: Path) -> Path:
        """Confine this process, the worker of that number and model folder; return its own temporary folder.

        Raises ValueError for a folder that TorchServe has not unpacked, and OSError where the kernel refuses.
        """
        model = folder.resolve()
        if self._models not in model.parents:
            raise ValueError(f"{folder} is not among the models in {self._models}")
        temporary = self._sockets / "workers" / number
        shutil.rmtree(temporary, ignore_errors=True)  # of the last worker of that number
        temporary.mkdir(parents=True, mode=0o700)
        # A worker makes its socket in TorchServe's folder, but must not remove other files there.
        (self._sockets / f".ts.sock.{number}").unlink(missing_ok=True)
        capabilities.keep_those_of_files()
        landlock.restrict({**self._rules, self._sockets: Access.MAKE_SOCK, model: READ, temporary: WRITE})
        return temporary


def of_workers(sockets: Path, gallery: str, folders: str) -> Confinement | None:
    """Return the confinement of workers; None, with a line in the log, where the kernel has no Landlock."""
    if not landlock.abi():
        print("workers are not confined: no Landlock here (Linux 5.13 or later, with lsm=landlock)", file=sys.stderr)
        return None
    return Confinement(sockets, Path(gallery), [Path(each) for each in folders.split(os.pathsep) if each])
