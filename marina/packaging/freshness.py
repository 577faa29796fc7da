"""Inputs of archives and trainings, recorded by content, so that a later run can check whether they are up to date.

By content and not by time: a fresh clone or `git pull` touches files without changing them, and must not cost anybody
a training.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from marina.files import write_atomic
from marina.settings import ROOT

PACKAGES = ("handlers", "models")  # what an archive carries


def record(target: Path, inputs: Iterable[Path], root: Path) -> None:
    """Write the digests of `inputs` beside `target`; paths below `root` are kept relative to it."""
    paths = [root / path if (root / path).exists() else path.absolute() for path in inputs]
    digests = {str(path.relative_to(root) if path.is_relative_to(root) else path): digest(path) for path in paths}
    write_atomic(record_of(target), json.dumps(digests, indent=1) + "\n")


def is_up_to_date(target: Path, root: Path) -> bool:
    """Check that `target` and its record exist, and that every recorded input is what it was."""
    file = record_of(target)
    if not (target.exists() and file.is_file()):
        return False
    inputs: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return all(digest(root / path) == recorded for path, recorded in inputs.items())


def record_of(target: Path) -> Path:
    """Return the path of the record that belongs to `target`."""
    return target.with_name(f"{target.name}.inputs.json")


def digest(file: Path) -> str:
    """Return the sha256 of a file's content; the empty string if there is no such file."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def closure(*files: Path) -> list[Path]:
    """Return `files` and every file of PACKAGES that they import, transitively; relative to ROOT, sorted.

    Those travel in the archive of a model, and a change of any makes it stale.
    """
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            waiting += [path for name in _imported(tree) for path in _files_of(name)]
    return sorted(found)


def imported_packages(files: Iterable[Path]) -> set[str]:
    """Return the top-level packages that `files`, relative to ROOT, import, but for ours and the standard library's."""
    trees = [ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in files]
    found = {name.partition(".")[0] for tree in trees for name in _imported(tree)}
    return found - set(PACKAGES) - sys.stdlib_module_names


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names that a module may import; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files_of(name: str) -> Iterator[Path]:
    """Yield the file of a module of ours, and the __init__.py of every package above it."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        path = Path(*parts[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if (ROOT / file).is_file():
                yield file
