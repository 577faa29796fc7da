"""Names of new models and tasks: Python names that nothing else has."""

import keyword
import re
import sys
from importlib.util import find_spec

from marina.errors import ScaffoldError
from marina.settings import ROOT

STAND_INS = ROOT / "marina" / "training" / "data" / "standins" / "__init__.py"  # its MODULES: "name": "module"
MAX_LENGTH = 32  # characters; the lines of the templates are short enough for it
PATTERN = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check(kind: str, name: str) -> None:
    """Raise ScaffoldError unless `name` can be that of a `kind`: model or task.

    >>> check("model", "my_net")
    """
    if not PATTERN.fullmatch(name) or len(name) > MAX_LENGTH:
        raise ScaffoldError(
            f"{name!r} can't be a {kind}'s name: use lower-case words with underscores, at most {MAX_LENGTH} "
            "characters, such as audio_classification"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise ScaffoldError(f"{name!r} can't be a {kind}'s name: it is a Python keyword; choose another one")


def check_module(kind: str, name: str) -> None:
    """Raise ScaffoldError for a name that a data set or an installed module has.

    A task's stand-in has its name, too. The handler of a task lies at the top of the archive, where it would replace a
    module.
    """
    listed = STAND_INS.read_text(encoding="utf-8") if STAND_INS.is_file() else ""  # the import would take seconds
    if f'"{name}": ' in listed:
        raise ScaffoldError(f"{name!r} can't be a {kind}'s name: a data set has it; choose another one")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise ScaffoldError(
            f"{name!r} can't be a {kind}'s name: Python has a module of that name, which handlers/{name}.py would "
            "replace in the archive; choose another one"
        )


def class_name(name: str) -> str:
    """Return the name of the class.

    >>> class_name("audio_classification")
    'AudioClassification'
    """
    return "".join(word.capitalize() for word in name.split("_"))
