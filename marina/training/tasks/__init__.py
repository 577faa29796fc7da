"""Tasks, one module or package each, found by name: codec, loss, validation metric, requests and card metrics."""

from importlib import import_module
from pkgutil import iter_modules

from marina.training.task import Task

SHARED = {"common"}  # base classes of several tasks


def names() -> list[str]:
    """Return the names of all tasks, sorted."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in SHARED)


def find(name: str) -> type[Task]:
    """Return the task called `name`: the one Task that its module, or its package's task.py, defines.

    Raises LookupError for an unknown name.
    """
    if name not in names():
        raise LookupError(f"no task {name!r}; there are: {', '.join(names())}")
    module = import_module(f"{__name__}.{name}")
    if hasattr(module, "__path__"):
        module = import_module(f"{__name__}.{name}.task")
    (task,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Task) and kind.__module__ == module.__name__
    )
    return task
