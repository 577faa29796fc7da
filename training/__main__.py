"""The command line: `python -m training train NAME...` and `python -m training data [NAMES]`."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

# Waiting threads sleep: else training takes many times as long when anything else wants the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported, below

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


class Preset(StrEnum):
    full = "full"
    quick = "quick"


@app.command()
def train(
    names: Annotated[list[str], typer.Argument(help="file names under models/, without .py")],
    version: Annotated[str, typer.Option(help="artifacts/<name>/<version>")] = "1.0",
    data: Annotated[str | None, typer.Option(help="a data set's name, or a path; the card's own if not given")] = None,
    preset: Annotated[Preset, typer.Option(help="quick: a few steps, to see that it runs")] = Preset.full,
    labels: Annotated[float, typer.Option(help="the share of the labels to learn from; below 1: self-training")] = 1.0,
    position: Annotated[str, typer.Option(help='shown, such as "3 of 7"')] = "",
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, mps, ...")] = "auto",
    devices: Annotated[str, typer.Option(help="how many, or which: 2, 0,3, -1, auto")] = "auto",
    num_nodes: Annotated[int, typer.Option(help="machines; see Lightning on how to start each")] = 1,
    strategy: Annotated[str, typer.Option(help="ddp, fsdp, ...")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed, ...; the recipe's own if not given")
    ] = None,
) -> None:
    """Train models one after the other and evaluate them, into artifacts/<name>/<version>/."""
    from training import fit
    from training.hardware import Hardware

    hardware = Hardware(accelerator, devices, num_nodes, strategy, precision)
    try:
        for place, name in enumerate(names, start=1):
            where = position or (f"{place} of {len(names)}" if len(names) > 1 else "")
            fit.train(name, version, data or None, preset.value, hardware, where, labels)
    except (LookupError, ValueError) as fault:
        stop(fault)


@app.command()
def data(
    names: Annotated[
        list[str] | None, typer.Argument(help="of data sets or models; all stand-ins if none is given")
    ] = None,
) -> None:
    """Write the stand-in of each data set that is not there yet, and say what is there."""
    import models
    from training.data import find, stand_ins

    for name in dict.fromkeys(
        models.find(name).data if name in models.names() else name for name in names or stand_ins()
    ):
        try:
            found = find(name)
        except LookupError as fault:
            stop(fault)
        Console(soft_wrap=True, highlight=False).print(f"{found.path}: {found.kind}, sha256 {found.sha256}")


def stop(fault: Exception) -> None:
    """End with the fault's own words."""
    print(f"error: {fault.args[0] if fault.args else fault}", file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
