"""Files that other processes watch: whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Put `content` in `path` by a rename, so that no reader sees half of it; readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    Path(name).replace(path)


def last_lines(path: Path, count: int, size: int = 1 << 18) -> list[str]:
    """The last `count` lines among the last `size` bytes of a file; none if it is missing."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace").splitlines()[-count:]
