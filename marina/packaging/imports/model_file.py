"""The file models/NAME.py of an imported model: its text, and the rules for one that exists."""

import ast
import importlib
import json
import keyword
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from marina.errors import ModelImportError
from marina.packaging.imports.imported_model import ImportedModel
from marina.packaging.imports.network import NetworkSource
from marina.packaging.verify import NotVerifiedError, archive_name

WIDTH = 120  # of a line
CARD_IMPORT = "from models.card import Card, Serving"
RESERVED = {"Card", "Serving", "CARD"}  # names that the end of the file uses
WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DECISIVE = {"name", "task", "network", "input"}  # members of a CARD that weights depend on


def check_name(name: str, version: str, folder: Path) -> None:
    """Raise ModelImportError for a name that is no module's, or that something else in `folder` (models/) has."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or name.startswith("_"):
        raise ModelImportError(f"{name!r} can't be a model's name: it is a Python name, such as my_resnet")
    if name == "card" or (folder / name).is_dir():
        raise ModelImportError(f"models/{name} exists, and is no model: choose another name")
    try:
        archive_name(name, version)
    except NotVerifiedError as exc:
        raise ModelImportError(str(exc)) from exc


def text(name: str, task: str, model: ImportedModel) -> str:
    """Return the model's file: the network, and its CARD with the arguments of the codec; formatted as ruff does."""
    source, options = model.source, ", ".join(f"{option}={value!r}" for option, value in model.serving.items())
    card = [
        f'name="{name}",',
        f'task="{task}",',
        f"network={source.expression},",
        *_dictionary("input", model.input),
        f"serving=Serving({options}),",
        f"source={json.dumps(f'{source.given}, imported', ensure_ascii=False)},",
        *([f"not_exported={json.dumps(model.not_exported)},"] if model.not_exported else []),
    ]
    lines = "".join(f"    {line}\n" for line in card)
    return f"{_with_import(source)}\nCARD = Card(\n{lines})\n"


def _dictionary(argument: str, members: Mapping[str, Any]) -> list[str]:
    """Return the lines of an argument that is a dictionary: one, or one for each member if that is too long."""
    words = [f"{json.dumps(name)}: {value!r}" for name, value in members.items()]
    line = f"{argument}={{{', '.join(words)}}},"
    return [line] if len(line) + 4 <= WIDTH else [f"{argument}={{", *(f"    {word}," for word in words), "},"]


def _with_import(source: NetworkSource) -> str:
    """Return the network's code with the import of Card after its own imports at the top."""
    tree = ast.parse(source.code)
    defined = {getattr(node, "name", None) for node in tree.body} | {
        to.id for node in tree.body if isinstance(node, ast.Assign) for to in node.targets if isinstance(to, ast.Name)
    }
    if taken := sorted(RESERVED & defined):
        raise ModelImportError(f"{source.given}: {', '.join(taken)} is defined there, and models/ uses that name")
    last = 1
    for place, node in enumerate(tree.body):
        if not isinstance(node, ast.Import | ast.ImportFrom) and not (place == 0 and ast.get_docstring(tree)):
            break
        last = node.end_lineno or last
    lines = source.code.splitlines()
    rest = "\n".join(lines[last:]).strip("\n")
    ours = [CARD_IMPORT, *([source.ours] if source.ours else [])]
    joined = "\n".join([*lines[:last], "", *ours, "", *(["", rest, "", ""] if rest else [])])
    return joined.rstrip("\n") + ("\n\n" if rest else "\n")


def to_write(file: Path, content: str, written: set[str], replace: bool) -> bool:
    """Return whether the file is to be written: not if it has this network and input already, as for a new version.

    `written` has the digests of what earlier imports wrote. Raises ModelImportError for a file that must stay.
    """
    if not file.exists():
        return True
    present, title = file.read_text(encoding="utf-8"), f"models/{file.name}"
    if _decisive(present) == _decisive(content):
        return False
    if digest(present) not in written:
        raise ModelImportError(f"{title} exists, and `marina import` did not write it as it is: choose another name")
    if not replace:
        raise ModelImportError(
            f"{title} exists, with another network or input: choose another name, or pass --replace (REPLACE=1)"
        )
    return True


def digest(content: str) -> str:
    """Return the sha256 of the file's text."""
    return sha256(content.encode()).hexdigest()


def reloaded(name: str) -> Any:
    """Return the CARD of a file that was just written."""
    import models

    importlib.invalidate_caches()
    sys.modules.pop(f"models.{name}", None)
    return models.find(name)


def restore(file: Path, before: str | None) -> None:
    """Undo the writing of the model's file."""
    if before is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(before, encoding="utf-8")


def _decisive(content: str) -> list[str]:
    """Return the code that weights depend on: all but docstrings and the CARD's other members; a recipe counts."""
    tree = ast.parse(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Card":
            node.keywords = [each for each in node.keywords if each.arg in DECISIVE | {"recipe"}]
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return [ast.dump(node) for node in tree.body]
