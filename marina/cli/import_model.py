"""`marina import`: weights that were trained elsewhere become a model."""

import ast
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from marina.cli.training import Version
from marina.errors import ModelImportError
from marina.settings import ROOT

if TYPE_CHECKING:
    from handlers.codecs.image import ImageCodec
    from marina.packaging.imports.checkpoint import Checkpoint
    from marina.packaging.imports.classifier import ImportedClassifier

TASKS = ("image_classification",)  # that can be imported
MODELS = ROOT / "models"
console = Console(soft_wrap=True, highlight=False)


def import_(
    name: Annotated[str, typer.Argument(help="name of the model, a Python name")],
    weights: Annotated[
        Path, typer.Option(help=".safetensors, .pth, .pt, .bin, .ckpt with tensors alone; or a program")
    ],
    size: Annotated[int, typer.Option(min=1, help="side of the network's input, in pixels")],
    mean: Annotated[str, typer.Option(help="of each channel, of values in 0..1: 0.485,0.456,0.406")],
    std: Annotated[str, typer.Option(help="of each channel: 0.229,0.224,0.225")],
    network: Annotated[
        str | None,
        typer.Option(
            help="torchvision.models:resnet18, timm:efficientnet_b0 or path/to/net.py:Net",
            show_default="WEIGHTS is a TorchScript or ONNX program",
        ),
    ] = None,
    task: Annotated[str, typer.Option(help=f"one of: {', '.join(TASKS)}")] = TASKS[0],
    labels: Annotated[
        Path | None, typer.Option(help="text file with a label a line, or JSON list", show_default="numbers")
    ] = None,
    resize: Annotated[
        int | None, typer.Option(help="scale the shorter side to this before the centre crop", show_default="SIZE")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, max=3, help="1 for grey, 3 for RGB")] = 3,
    argument: Annotated[
        list[str] | None, typer.Option(help="of the network, such as width_mult=0.5; repeatable")
    ] = None,
    version: Version = "1.0",
    data: Annotated[
        str | None, typer.Option(help="measure on the test split of this data set", show_default="no metrics")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="replace what an earlier import of NAME wrote")] = False,
) -> None:
    """Import weights that were trained elsewhere: write models/NAME.py and artifacts/NAME/VERSION/.

    Nothing is downloaded, and no code of a checkpoint runs. `marina archive NAME` packs the model.

    Example: marina import mine --network torchvision.models:resnet18 --weights resnet18.pth --size 224 --resize 256
    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --labels labels.txt
    """
    if task not in TASKS:
        raise ModelImportError(f"--task {task} can't be imported yet; supported: {', '.join(TASKS)}")
    from handlers.codecs.image import ImageCodec
    from marina.packaging.imports import checkpoint, classifier, model_file, program
    from marina.packaging.imports import network as networks
    from marina.training import imported

    model_file.check_name(name, version, MODELS)
    imported.check_replaceable(name, version, replace)
    preprocessing = codec_arguments(size, resize, channels, mean, std)
    whole = None if network else program.read(weights)
    source = whole.source if whole else networks.find(network or "")
    reason = program.NOT_EXPORTED if whole else ""
    content, file = model_file.text(name, task, source, preprocessing, reason=reason), MODELS / f"{name}.py"
    fresh = model_file.to_write(file, content, imported.written_files(name), replace)
    read = whole.checkpoint if whole else checkpoint.read(weights)
    names = classifier.read_labels(labels) if labels else None
    codec = ImageCodec(**preprocessing)
    if whole and argument:
        raise ModelImportError(f"--argument {argument[0]}: a program takes none; leave it out, or name the --network")
    fitted = (
        program.fit(whole, codec, names, str(labels))
        if whole
        else classifier.fit(source, read, codec, arguments_of(argument or []), names, str(labels))
    )
    test = imported.load_split(data, task, fitted.labels) if data else None
    print_found(read, fitted, codec, labels)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    origin = {"network": source.given, "file": weights.name, "sha256": read.sha256}
    if fresh:
        file.write_text(content, encoding="utf-8")
    try:
        origin |= {"model_file": model_file.digest(file.read_text(encoding="utf-8"))}
        card = reloaded(name)
        done = imported.write(card, version, fitted.network, fitted.arguments, fitted.labels, origin, test)
    except BaseException:
        if fresh:
            restore(file, before)
        raise
    for metric, value in done["metrics"].items():
        console.print(f"  {metric} {value:.4f} on {done['data']['name']}, {len(test.requests) if test else 0} images")
    console.print(f"  {'wrote' if fresh else 'kept'} models/{name}.py, wrote artifacts/{name}/{version}/", markup=False)
    console.print(f"  next: marina archive {name} --version {version}")


def codec_arguments(size: int, resize: int | None, channels: int, mean: str, std: str) -> dict[str, Any]:
    """Return the arguments of the image codec; raises ModelImportError for values that no image has."""
    if channels == 2:
        raise ModelImportError("--channels 2: images are grey (1) or RGB (3)")
    if resize is not None and resize < size:
        raise ModelImportError(f"--resize {resize} is less than --size {size}: it is the size before the centre crop")
    moments = {"mean": numbers("mean", mean, channels), "std": numbers("std", std, channels)}
    if min(moments["std"]) <= 0:
        raise ModelImportError(f"--std {std}: it divides, and must be over 0")
    return {"size": size, **({"resize": resize} if resize else {}), "channels": channels, **moments}


def numbers(option: str, words: str, count: int) -> tuple[float, ...]:
    """Return the numbers of an option, one for each channel.

    >>> numbers("mean", "0.5,0.4,0.3", 3)
    (0.5, 0.4, 0.3)
    """
    try:
        found = tuple(float(word) for word in words.split(","))
    except ValueError as exc:
        raise ModelImportError(f"--{option} {words}: it takes numbers with commas, such as 0.485,0.456,0.406") from exc
    if len(found) != count:
        raise ModelImportError(f"--{option} {words}: {len(found)} numbers for {count} channels")
    return found


def arguments_of(words: list[str]) -> dict[str, Any]:
    """Return the arguments of the network: Python literals, anything else is text.

    >>> arguments_of(["num_classes=10", "act=relu"])
    {'num_classes': 10, 'act': 'relu'}
    """
    arguments: dict[str, Any] = {}
    for word in words:
        member, equals, value = word.partition("=")
        if not (equals and member.isidentifier()):
            raise ModelImportError(f"--argument {word}: the form is name=value, such as num_classes=10")
        try:
            arguments[member] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[member] = value
    return arguments


def print_found(read: "Checkpoint", fitted: "ImportedClassifier", codec: "ImageCodec", labels: Path | None) -> None:
    """Print what was read from the checkpoint, and how the network will see images."""
    places = [f"under {'.'.join(read.nested)!r}"] if read.nested else []
    places += [f"prefix {fitted.prefix!r} removed"] if fitted.prefix else []
    lines = [
        f"{read.file.name}: {len(read.tensors)} tensors, {read.parameters:,} values"
        f"{''.join(f', {place}' for place in places)}; sha256 {read.sha256[:12]}",
        f"{len(fitted.labels)} classes{f' ({fitted.head})' if fitted.head else ''}, "
        f"{f'labels from {labels}' if labels else 'numbered: no --labels'}",
        f"images of {codec.channels} x {codec.size} x {codec.size}"
        f"{f', cropped from {codec.resize}' if codec.resize else ''}",
    ]
    if repeated := sorted({label for label in fitted.labels if fitted.labels.count(label) > 1}):
        lines.append(f"labels of several classes: {', '.join(repeated[:5])}; an explanation explains the first of them")
    for line in lines:
        console.print(f"  {line}", markup=False)


def reloaded(name: str) -> Any:
    """Return the CARD of a file that was just written."""
    import models

    importlib.invalidate_caches()
    sys.modules.pop(f"models.{name}", None)
    return models.find(name)


def restore(file: Path, before: str | None) -> None:
    """Undo the writing of the model's file."""
    if before is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(before, encoding="utf-8")
