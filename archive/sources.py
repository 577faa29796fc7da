"""Which of our own files does a file need? Those travel in its archive, and a change of any makes it stale."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("handlers", "models")


def closure(*files: Path) -> list[Path]:
    """`files` and every file under handlers/ and models/ that they import, transitively; relative to ROOT, sorted."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            waiting += [path for name in _imported(tree) for path in _files_of(name)]
    return sorted(found)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module may import; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files_of(name: str) -> Iterator[Path]:
    """The file of a module of ours, and the __init__.py of every package above it."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        path = Path(*parts[:depth])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if (ROOT / file).is_file():
                yield file
