"""`marina new`: files of a model or a task, which work and are meant to be filled in."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="Write the files of a model or a task of your own.", no_args_is_help=True)
console = Console(soft_wrap=True, highlight=False)


@app.command()
def task(
    name: Annotated[str, typer.Argument(help="lower-case words with underscores")],
    model: Annotated[str | None, typer.Option(help="name of its first model", show_default="NAME_net")] = None,
) -> None:
    """Write a handler, a codec, a training task, a data reader with a stand-in, a model and their tests.

    They classify short series of numbers. Comments name the lines to replace. No file is overwritten.

    Example: marina new task audio_classification
    """
    from marina.scaffold.write import task_files, write

    model = model or f"{name}_net"
    files = task_files(name, model)
    write(files)
    print_next(files, model, name)


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="lower-case words with underscores")],
    task: Annotated[str, typer.Option(help="such as image_classification")],
) -> None:
    """Write a model of an existing task, with its CARD and a test. No file is overwritten.

    Example: marina new model my_net --task image_classification
    """
    from marina.scaffold.write import model_files, write

    files = model_files(name, task)
    write(files)
    print_next(files, name, name)


def print_next(files: dict[Path, str], model: str, tests: str) -> None:
    """Print what was written, and the commands that test and pack it."""
    for path in files:
        console.print(f"  wrote {path}", markup=False)
    console.print(f"  next: fill them in; test: .venv/bin/python -m pytest tests -k {tests}", markup=False)
    console.print(f"        marina archive {model}", markup=False)
