"""`marina train` and `marina data`."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from marina.cli import jobs, option_flags, selection
from marina.cli.jobs import Job
from marina.cli.option_flags import BatchSize, Epochs, LearningRate, Pretrained, Set, Size
from marina.errors import MarinaError

# Waiting threads sleep: otherwise training takes many times as long when anything else wants the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch reads it when it is imported

ARTIFACTS = Path("artifacts")


class Preset(StrEnum):
    """Full trains to the floor; quick takes a few steps, to see that everything runs."""

    full = "full"
    quick = "quick"


Names = Annotated[list[str] | None, typer.Argument(help="models: names, `starter` or `all`", show_default="starter")]
Version = Annotated[str, typer.Option(help="version of the model")]
Data = Annotated[
    str | None,
    typer.Option(help="a data set's name or path", show_default="as this version was trained, or the CARD's"),
]
Target = Annotated[
    str | None,
    typer.Option(help="the column of a table to predict; churned:classes or price:number", show_default="as trained"),
]
PresetOption = Annotated[
    Preset | None, typer.Option(help="quick: a few steps, to see that it runs", show_default="full")
]
Replace = Annotated[bool, typer.Option("--replace", help="train again and replace weights that were made differently")]
Jobs = Annotated[int, typer.Option("--jobs", help="models side by side, each on its share of the cores")]


def train(
    names: Names = None,
    version: Version = "1.0",
    data: Data = None,
    preset: Annotated[
        Preset | None, typer.Option(help="quick: a few steps, to see that it runs", show_default="as trained, or full")
    ] = None,
    job_count: Jobs = 2,
    replace: Replace = False,
    labels: Annotated[
        float | None,
        typer.Option(help="share of the labels to learn from; below 1: self-training", show_default="as trained, or 1"),
    ] = None,
    size: Size = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    set_: Set = None,
    pretrained: Pretrained = None,
    target: Target = None,
    position: Annotated[str, typer.Option(help='shown, such as "3 of 7"', hidden=True)] = "",
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, mps, ...")] = "auto",
    devices: Annotated[str, typer.Option(help="how many, or which: 2, 0,3, -1, auto")] = "auto",
    num_nodes: Annotated[int, typer.Option(help="machines; see Lightning on how to start each")] = 1,
    strategy: Annotated[str, typer.Option(help="ddp, fsdp, ...")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed, ...", show_default="the recipe's own")
    ] = None,
    keep_in_memory: Annotated[
        int | None,
        typer.Option(
            help="MB of encoded images a split; more are read from disk", show_default="a quarter of the memory"
        ),
    ] = None,
) -> None:
    """Train models into artifacts/NAME/VERSION/. Ctrl-C, and the same command resumes from the last checkpoint.

    Weights that exist are not replaced: other data, another recipe or network need another --version, or --replace.

    Options that are given are recorded in card.json, and later commands keep them.

    Example: marina train resnet18 --version 2.0 --data path/to/images --epochs 20 --set recipe.weight_decay=0.01
    """
    chosen = selection.select(names or [selection.STARTER])
    selection.check_trainable(chosen)
    words = option_flags.words_of(size, epochs, batch_size, lr, set_)
    own = option_flags.overrides_of(chosen, words)
    if len(chosen) > 1 or selection.missing_warm_starts(chosen, ARTIFACTS):
        flags = {"--labels": labels, "--accelerator": accelerator, "--devices": devices, "--num-nodes": num_nodes}
        flags |= {"--strategy": strategy, "--precision": precision, "--keep-in-memory": keep_in_memory}
        more = tuple(str(word) for flag, value in flags.items() if value is not None for word in (flag, value))
        more += option_flags.flags_of(words, pretrained)
        jobs.run(training_jobs(chosen, version, data, preset, replace, more, target), job_count)
        return
    from marina.training import run
    from marina.training.hardware import Hardware

    hardware = Hardware(accelerator, devices, num_nodes, strategy, precision, keep_in_memory)
    try:
        wanted: Literal["full", "quick"] | None = preset.value if preset else None
        run.train(
            *(chosen[0], version, data or None, wanted, hardware, position, labels, replace),
            own=own[chosen[0]],
            pretrained=pretrained,
            target=target,
        )
    except (LookupError, ValueError) as exc:
        raise MarinaError(str(exc.args[0] if exc.args else exc)) from exc
    except SystemExit as exc:  # Lightning's response to Ctrl-C
        raise KeyboardInterrupt from exc


def training_jobs(
    names: list[str],
    version: str,
    data: str | None,
    preset: Preset | None,
    replace: bool = False,
    more: tuple[str, ...] = (),
    target: str | None = None,
) -> list[Job]:
    """Return a job for each model, longest first, after the models that its training begins with.

    Only `names` get the version, data and preset, and may be replaced; a model that another begins with is trained
    in full. Raises NoRecipeError for an imported model.
    """
    selection.check_trainable(names)
    bases = selection.missing_warm_starts(names, ARTIFACTS)
    ordered = selection.longest_first(names, ARTIFACTS)
    options = ["--version", version]
    options += ["--data", data] if data else []
    options += ["--target", target] if target else []
    options += ["--preset", preset.value] if preset else []
    options += ["--replace"] if replace else []
    made = [Job(f"train {base}", ("train", base)) for base in bases]
    for place, name in enumerate(ordered, start=1):
        begins_with = {f"train {base}" for base in selection.facts(name).warm_start if base in (*bases, *names)}
        words = ("train", name, *options, "--position", f"{place} of {len(ordered)}", *more)
        made.append(Job(f"train {name}", words, frozenset(begins_with)))
    return made


def data(
    names: Annotated[
        list[str] | None, typer.Argument(help="data sets or models", show_default="every stand-in")
    ] = None,
) -> None:
    """Write the embedded stand-in of each data set that is missing, and report what is there."""
    from rich.console import Console

    import models
    from marina.training.data import find, stand_ins

    wanted = selection.select(names) if names and set(names) & {selection.STARTER, selection.ALL} else names
    sets = [models.find(name).data if name in models.names() else name for name in wanted or stand_ins()]
    for name in filter(None, dict.fromkeys(sets)):  # an imported model names no data
        try:
            found = find(name)
        except LookupError as exc:
            raise MarinaError(str(exc.args[0])) from exc
        Console(soft_wrap=True, highlight=False).print(f"{found.path}: {found.kind}, sha256 {found.sha256}")
