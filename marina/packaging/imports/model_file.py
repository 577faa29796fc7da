"""The file models/NAME.py of an imported model: its text, and the rules for one that exists."""

import ast
import json
import keyword
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from marina.errors import ModelImportError
from marina.packaging.imports.network import NetworkSource

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
    if not re.fullmatch(r"\w+(\.\w+)*", version, re.ASCII):
        raise ModelImportError(f"{version!r} can't be a version: it is numbers or words with dots, such as 1.0")


def text(
    name: str, task: str, source: NetworkSource, codec: Mapping[str, Any], batch_size: int = 8, reason: str = ""
) -> str:
    """Return the model's file: the network, and its CARD with the arguments of the codec; formatted as ruff does.

    `reason` is why the network is not exported.
    """
    card = [
        f'name="{name}",',
        f'task="{task}",',
        f"network={source.expression},",
        *_dictionary("input", codec),
        f"serving=Serving(batch_size={batch_size}),",
        f"source={json.dumps(f'{source.given}, imported', ensure_ascii=False)},",
        *([f"not_exported={json.dumps(reason)},"] if reason else []),
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
    return "\n".join([*lines[:last], "", CARD_IMPORT, "", *(["", rest, "", ""] if rest else [])]).rstrip("\n") + (
        "\n\n" if rest else "\n"
    )


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


def _decisive(content: str) -> list[str]:
    """Return the code that weights depend on: all but docstrings and the CARD's other members; a recipe counts."""
    tree = ast.parse(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Card":
            node.keywords = [each for each in node.keywords if each.arg in DECISIVE | {"recipe"}]
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return [ast.dump(node) for node in tree.body]
