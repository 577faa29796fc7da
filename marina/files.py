"""Files that other processes read while they change, logs, and folders of packages."""

import os
import stat
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by a rename, so that no reader sees half of the content; only the owner may read the file.

    The temporary file is in the same folder, because a rename is atomic only within one file system. It is removed if
    it can't be written, since a full disk would fill with more of them at each attempt.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise


PRIVATE_UMASK = 0o077  # of processes that write under var/: what they create is their owner's alone


def make_private(folder: Path) -> None:
    """Take all permissions of other users from a folder and everything in it; links are not followed."""
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, file) for file in files)):  # noqa: PTH118 - a hot loop
            with suppress(FileNotFoundError):  # removed meanwhile
                mode = os.lstat(path).st_mode
                if mode & PRIVATE_UMASK and not stat.S_ISLNK(mode):
                    os.chmod(path, stat.S_IMODE(mode) & ~PRIVATE_UMASK)  # noqa: PTH101


def last_lines(path: Path, count: int, size: int = 1 << 18) -> list[str]:
    """Return the last `count` lines of the last `size` bytes of a file; an empty list if it is missing.

    Bytes that are not UTF-8 are replaced by U+FFFD.
    """
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace").splitlines()[-count:]


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it, for packages whose files alone are needed.

    Raises ModuleNotFoundError if the package is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {name} is not installed: run `make install`", name=name)
    return Path(spec.origin).parent
