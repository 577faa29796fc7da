"""Networks by the name `module:callable`: of torchvision, of timm, or of a user's own Python file."""

import ast
import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from marina.errors import ModelImportError

LIBRARIES = ("torch", "torchvision")  # that every serving machine has
ALLOWED = (*LIBRARIES, "numpy")  # in a user's own file, besides the standard library
# Arguments that would download weights, and what they are set to where their default is another.
OFFLINE = {"weights": None, "weights_backbone": None, "pretrained": False, "pretrained_backbone": False}
FORMS = "torchvision.models:resnet18, timm:efficientnet_b0, or path/to/net.py:Net"


@dataclass(frozen=True)
class NetworkSource:
    """The network as the user `given` it, and as models/NAME.py has it: its `code`, which begins with a docstring, and
    the `expression` of the CARD that is called to build it. `ours` is an import of a module of ours, if it needs one.
    """

    given: str
    code: str
    expression: str
    builder: Callable[..., Any]
    ours: str = ""

    def accepts(self, argument: str) -> bool:
        """Return whether the network takes an argument of this name."""
        parameters = _parameters(self.builder)
        return argument in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())

    def offline(self) -> dict[str, Any]:
        """Return the arguments without which the network would download weights."""
        parameters = _parameters(self.builder)
        return {name: value for name, value in OFFLINE.items() if name in parameters and parameters[name].default}

    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        """Return the network with random weights, in evaluation mode. Raises ModelImportError if it can't be built."""
        call = f"{self.given}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of initialization, which is overwritten
                network = self.builder(**arguments)
        except Exception as exc:  # it is the user's code
            raise ModelImportError(f"{call} fails: {type(exc).__name__}: {exc}") from exc
        if not isinstance(network, nn.Module):
            raise ModelImportError(f"{call} returns {type(network).__name__}, not a torch.nn.Module")
        return network.eval()


def find(given: str) -> NetworkSource:
    """Return the network by its name; raises ModelImportError, which lists the forms of a name, if there is none."""
    place, _, name = given.rpartition(":")
    if not (place and name):
        raise ModelImportError(f"--network {given}: the form is module:callable, such as {FORMS}")
    if place.endswith(".py"):
        return _of_file(Path(place), name)
    if place == "timm":
        return _of_timm(name)
    if place.split(".")[0] not in LIBRARIES:
        raise ModelImportError(
            f"--network {given}: a serving machine has no module {place.split('.')[0]}; it is one of {FORMS}"
        )
    try:
        builder = _member(import_module(place), place, name)
    except ImportError as exc:
        raise ModelImportError(f"--network {given}: {exc}") from exc
    code = f'"""{name} of {place}, with imported weights."""\n\nfrom {place} import {name}\n'
    return NetworkSource(given, code, name, builder)


def _of_timm(name: str) -> NetworkSource:
    try:
        timm = import_module("timm")
    except ImportError as exc:
        raise ModelImportError(
            f"--network timm:{name}: timm is not installed; here and on every machine that serves the model: "
            f"pip install --no-deps --require-hashes -r requirements/timm.lock"
        ) from exc
    code = f'"""{name} of timm, with imported weights."""\n\nfrom functools import partial\n\nimport timm\n'
    expression = f'partial(timm.create_model, "{name}", pretrained=False)'
    return NetworkSource(f"timm:{name}", code, expression, partial(timm.create_model, name, pretrained=False))


def _of_file(file: Path, name: str) -> NetworkSource:
    """Return a network of a user's own file, whose code is copied: it may import what every serving machine has."""
    try:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except OSError as exc:
        raise ModelImportError(f"--network: no file {file}") from exc
    except (SyntaxError, UnicodeDecodeError) as exc:
        raise ModelImportError(f"{file} is no Python file: {exc}") from exc
    for module, line in _imported(tree):
        if module not in ALLOWED and module not in sys.stdlib_module_names:
            raise ModelImportError(
                f"{file}:{line} imports {module or 'a file beside it'}: an archive contains this file alone, and may "
                f"import {', '.join(ALLOWED)} and the standard library. Copy what it needs into it"
            )
    code = _without_main(text, tree)
    if not ast.get_docstring(tree):
        code = f'"""{name} of {file.name}, with imported weights."""\n\n{code.lstrip()}'
    return NetworkSource(f"{file.name}:{name}", code, name, _member(_run(code, file), file.name, name))


def _imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the top-level module of each import, wherever in the code it is, and its line; "" for a relative one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("" if node.level else (node.module or "").split(".")[0]), node.lineno


def _without_main(text: str, tree: ast.Module) -> str:
    """Return the code without `if __name__ == "__main__":`, which never runs in an archive."""
    lines = text.splitlines(keepends=True)
    for node in reversed(tree.body):
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            del lines[node.lineno - 1 : node.end_lineno]
    return "".join(lines).rstrip() + "\n"


def _run(code: str, file: Path) -> ModuleType:
    """Return the module of the code that models/NAME.py will contain."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / file.name
        copied.write_text(code, encoding="utf-8")
        spec = spec_from_file_location(f"imported_{file.stem}", copied)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look up their module in sys.modules
        try:
            spec.loader.exec_module(module)
        except Exception as exc:  # it is the user's code
            raise ModelImportError(f"{file} can't be imported: {type(exc).__name__}: {exc}") from exc
    return module


def _member(module: ModuleType, place: str, name: str) -> Callable[..., Any]:
    """Return the callable of a module; raises ModelImportError with the nearest names if there is none."""
    found = getattr(module, name, None)
    if callable(found):
        return found
    names = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
    near = get_close_matches(name, names) or names[:5]
    raise ModelImportError(f"{place} has no network {name!r}; nearest: {', '.join(near)}")


def _parameters(builder: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    if getattr(builder, "__init__", None) is nn.Module.__init__:  # it has **kwargs in its signature, and refuses them
        return {}
    try:
        return inspect.signature(builder).parameters
    except ValueError:  # of code without a signature
        return {}
