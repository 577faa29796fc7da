"""Files of a scaffold: rendered from templates, and written all or none."""

import ast
import builtins
from collections.abc import Mapping
from pathlib import Path
from string import Template

from marina.errors import ScaffoldError
from marina.scaffold import names
from marina.settings import ROOT

TEMPLATES = Path(__file__).parent / "templates"
TASK_FILES = {  # template -> path in the checkout
    "handler": "handlers/$name.py",
    "codec": "handlers/codecs/$name.py",
    "training_task": "marina/training/tasks/$name.py",
    "format": "marina/training/data/formats/$name.py",
    "stand_in": "marina/training/data/standins/$name.py",
    "model": "models/$model.py",
    "sample_requests": "tests/tasks/$name.py",
    "test": "tests/training/tasks/test_$name.py",
}
MODEL_TASKS = ("image_classification", "tabular_regression", "text_classification")  # with a template of a model
MODEL_TEST = "tests/models/test_$name.py"


def task_files(name: str, model: str) -> dict[Path, str]:
    """Return the content of each file of a new task, by its path in the checkout. Raises ScaffoldError."""
    names.check("task", name)
    names.check("model", model)
    names.check_module("task", name)
    words = words_of(name) | {"model": model, "model_class": names.class_name(model)}
    return rendered({f"task/{template}": path for template, path in TASK_FILES.items()}, words)


def model_files(name: str, task: str) -> dict[Path, str]:
    """Return the content of each file of a new model, by its path in the checkout. Raises ScaffoldError."""
    names.check("model", name)
    if task not in MODEL_TASKS:
        raise ScaffoldError(_no_template(task))
    templates = {f"model/{task}": "models/$name.py", "model/test": MODEL_TEST}
    return rendered(templates, words_of(name) | {"task": task})


def words_of(name: str) -> dict[str, str]:
    """Return the words of the templates that depend on the name."""
    return {"name": name, "class_name": names.class_name(name), "title": name.replace("_", " ").capitalize()}


def rendered(templates: Mapping[str, str], words: Mapping[str, str]) -> dict[Path, str]:
    """Return the content of each file by its path. Raises ScaffoldError if a class is named like an import."""
    files = {}
    for template, path in templates.items():
        text = (TEMPLATES / f"{template}.py.tmpl").read_text(encoding="utf-8")
        content = Template(text).substitute(words)
        check_classes(content)
        files[Path(Template(path).substitute(words))] = content
    return files


def check_classes(content: str) -> None:
    """Raise ScaffoldError if a class has the name of a builtin, or of something that the file imports.

    >>> check_classes("class Net: ...")
    """
    nodes = list(ast.walk(ast.parse(content)))
    imported = {
        alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.ClassDef) and node.name in imported | {*dir(builtins)}:
            raise ScaffoldError(f"the class would be called {node.name}, which another one is; choose another name")


def write(files: Mapping[Path, str], root: Path = ROOT) -> None:
    """Write all files below `root`, or none. Raises ScaffoldError if `root` is no checkout, or if a file exists."""
    if not (root / "tests" / "tasks").is_dir():
        raise ScaffoldError(
            f"{root} is no checkout of Marina, but an installed package: `marina new` writes handlers, models and "
            "tests; clone the repository, run `make install` there, and repeat the command"
        )
    if present := [str(path) for path in files if (root / path).exists() or (root / path.with_suffix("")).exists()]:
        raise ScaffoldError(f"{', '.join(present)}: exists, and nothing is overwritten; choose another name")
    written: list[Path] = []
    try:
        for path, content in files.items():
            with (root / path).open("x", encoding="utf-8") as stream:  # fails if another process was faster
                written.append(root / path)
                stream.write(content)
    except BaseException as exc:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise ScaffoldError(f"{exc.filename}: {exc.strerror}; nothing was written") from exc
        raise


def _no_template(task: str) -> str:
    """Return the message about a task without a template: the models to copy, or the tasks there are."""
    like = [file.stem for file in sorted((ROOT / "models").glob("*.py")) if _is_of(file, task)]
    if like:
        return (
            f"there is no template for models of {task}; copy models/{like[0]}.py to models/<name>.py and change the "
            f"CARD's name. Templates: {', '.join(MODEL_TASKS)}"
        )
    return (
        f"no task {task!r}; tasks with a template of a model: {', '.join(MODEL_TASKS)}. "
        "`marina new task` writes another task, with a model"
    )


def _is_of(file: Path, task: str) -> bool:
    return f'task="{task}"' in file.read_text(encoding="utf-8")
