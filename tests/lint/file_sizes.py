"""Check of the sizes of DESIGN: `python tests/lint/file_sizes.py FILES` prints which files or folders are too large."""

import sys
from collections import Counter
from pathlib import Path

SHORTEST, LONGEST = 20, 260  # lines of a file; __init__.py and __main__.py may be shorter
MOST_FILES = 20  # Python files beside each other
CATALOGUES = {"handlers", "handlers/codecs", "models"}  # one file for each of what they list


def problems(files: list[Path]) -> list[str]:
    """Return a line for each file outside the limits, and for each folder with too many of them."""
    found = []
    for file in files:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST or (lines < SHORTEST and not file.name.startswith("__")):
            found.append(f"{file}: {lines} lines, where {SHORTEST} to {LONGEST} are allowed")
    for folder, count in Counter(file.parent for file in files).items():
        if count > MOST_FILES and folder.as_posix() not in CATALOGUES:
            found.append(f"{folder}: {count} Python files, where {MOST_FILES} are allowed")
    return found


if __name__ == "__main__":
    lines = problems([Path(name) for name in sys.argv[1:]])
    print("\n".join(lines))
    sys.exit(bool(lines))
