"""Sphinx configuration: MyST pages, furo theme, and a reference generated from the code.

Build with `sphinx-build -W docs docs/_build/html`. Each build writes the reference pages `cli.md` and
`modules.md` from the modules that it can import; modules whose third-party imports are missing are mocked.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

project = "Marina"
author = "The Marina authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Marina"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
THIRD_PARTY = (
    *("captum", "cryptography", "numpy", "PIL", "pydantic", "pydantic_settings"),
    *("safetensors", "torch", "torchvision", "ts", "yaml"),
)
autodoc_mock_imports = [name for name in THIRD_PARTY if find_spec(name) is None]

# Public modules, in the order of the page. A module that does not exist is left out.
PUBLIC = ("models.card", "handlers.base", "handlers.errors", "marina.hosting", "marina.settings", "marina.errors")


def exists(module: str) -> bool:
    """Return whether a module of this repository can be found."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def modules_page() -> str:
    """Return the page of Python modules."""
    directive = "```{{eval-rst}}\n.. automodule:: {}\n   :members:\n```"
    parts = [f"## `{name}`\n\n{directive.format(name)}" for name in PUBLIC if exists(name)]
    return "\n\n".join(["# Python modules", *parts]) + "\n"


def cli_page() -> str:
    """Return the page of commands; a note where the command line cannot be imported."""
    title = "# Commands\n\n"
    if not exists("marina.cli.main") or find_spec("typer") is None:
        return title + "Install Marina to generate this page: `make install`, then `marina --help`.\n"
    import typer

    from marina.cli.main import app

    return title + "\n".join(command_help(typer.main.get_command(app), "marina"))


def command_help(command: Any, path: str) -> list[str]:
    """Return the help of a command and of its subcommands, one section each."""
    if command.hidden:
        return []
    usage = " ".join(command.collect_usage_pieces(command.context_class(command, info_name=path)))
    lines = [f"## {path}", "", (command.help or "").strip(), "", "```text", f"{path} {usage}", "```", ""]
    for parameter in command.params:
        names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
        lines.append(f"- `{names}` {getattr(parameter, 'help', None) or ''}".rstrip())
    for name, subcommand in sorted(getattr(command, "commands", {}).items()):
        lines += ["", *command_help(subcommand, f"{path} {name}")]
    return lines


def write_reference(app: Sphinx) -> None:
    """Write the generated pages, touching only those that changed."""
    for name, text in {"cli": cli_page(), "modules": modules_page()}.items():
        file = Path(app.srcdir) / "reference" / f"{name}.md"
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Generate the reference before Sphinx collects the pages."""
    app.connect("builder-inited", write_reference)
