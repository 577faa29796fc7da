"""Options of `marina train` and `marina archive` that stand for an edit of the model's file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Size = Annotated[int | None, typer.Option(help="side of the images in pixels", show_default="the CARD's")]
Epochs = Annotated[int | None, typer.Option(help="epochs of training", show_default="the CARD's")]
BatchSize = Annotated[int | None, typer.Option(help="examples of a training step", show_default="the CARD's")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="learning rate", show_default="the CARD's")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="any member of the CARD's recipe, input or serving, such as recipe.weight_decay=0.01; repeatable. "
        "Without a value, such as recipe.lr=, the CARD's own holds again",
        show_default=False,
    ),
]
Pretrained = Annotated[
    str | None,
    typer.Option(
        help="a .safetensors or .pth file to start from, as far as its tensors match; `none` starts without",
        show_default="as this version was trained, or none",
    ),
]


def words_of(
    size: int | None, epochs: int | None, batch_size: int | None, lr: float | None, others: Iterable[str] | None
) -> list[str]:
    """Return the options as words of --set.

    >>> words_of(96, None, None, 1e-3, ["serving.batch_size=4"])
    ['input.size=96', 'recipe.lr=0.001', 'serving.batch_size=4']
    """
    short = {"input.size": size, "recipe.epochs": epochs, "recipe.batch_size": batch_size, "recipe.lr": lr}
    return [*(f"{name}={value}" for name, value in short.items() if value is not None), *(others or ())]


def overrides_of(names: Iterable[str], words: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """Return the overrides of each model by its name. Raises MarinaError for a word that one of them does not take."""
    words = list(words)
    if not words:  # importing the models takes seconds
        return {name: {} for name in names}
    import models
    from marina import overrides

    return {name: overrides.parse(models.find(name), words) for name in names}


def flags_of(words: Iterable[str], pretrained: str | None) -> tuple[str, ...]:
    """Return the options as arguments of a job."""
    start = ("--pretrained", str(Path(pretrained))) if pretrained else ()
    return (*(part for word in words for part in ("--set", word)), *start)
