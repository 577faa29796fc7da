"""One file a task, found by file name: loss, metric, codec, requests, and what its cards show."""

from importlib import import_module
from pathlib import Path

from training.task import Task


def names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")


def find(name: str) -> type[Task]:
    """The task called `name`: the one Task that its file defines; raises LookupError if there is no such file."""
    if name not in names():
        raise LookupError(f"no task {name!r}; there are: {', '.join(names())}")
    module = import_module(f"training.tasks.{name}")
    (task,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Task) and kind.__module__ == module.__name__
    )
    return task
