"""Check of the wording that STYLE asks for: `python tests/lint/wording.py FILES` prints what to rewrite, and fails.

Docstrings begin with a noun phrase or an imperative verb, and programs do not mend, ask, tell or know.
"""

import ast
import re
import sys
from pathlib import Path

OPENINGS = re.compile(r"(What|Who|Whom|Whose|Where|How|Whether|Which)\b")
PRIVATE = re.compile(
    r"\b(mend(s|ed|ing)?|anew|shall|gist|faults?|(look|ask|tell|say|know)s|asked|told|said|asking|telling|saying|"
    r"in (its|their) stead|by way of|speaks? for|spoke for|he|his|him|old news)\b"
)
# Names of others, keys in cards that exist, code of networks that fingerprints cover, notes that checksums cover.
EXCEPTIONS = re.compile(r'http\.fault|"said"|asked = self\.|linear\(asked|knows no others')


def problems(file: Path) -> list[str]:
    """Return a line `file:number: problem` for each violation in a Python or Markdown file."""
    text, found = file.read_text(encoding="utf-8"), []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := PRIVATE.search(EXCEPTIONS.sub("", line)):
            found.append(f"{file}:{number}: {match[0]!r} is private language")
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                if OPENINGS.match(docstring):
                    found.append(f"{file}:{getattr(node, 'lineno', 1)}: docstring begins with {docstring.split()[0]!r}")
    return found


if __name__ == "__main__":
    lines = [line for name in sys.argv[1:] if Path(name).name != "wording.py" for line in problems(Path(name))]
    print("\n".join(lines))
    sys.exit(bool(lines))
