"""`marina import`: weights that were trained elsewhere become a model."""

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from marina.cli.import_archive import import_archive
from marina.cli.packaging import KEYS, STORE, TrustPickles
from marina.cli.training import Version
from marina.errors import ModelImportError
from marina.settings import ROOT

if TYPE_CHECKING:
    from marina.packaging.imports.imported_model import ImportedModel

# By task, the module whose `imported` returns the model.
IMPORTERS = {
    "image_classification": "marina.packaging.imports.classifier",
    "object_detection": "marina.packaging.imports.detector",
    "tabular_prediction": "marina.packaging.imports.pipeline",
    "text_classification": "marina.packaging.imports.hugging_face",
}
PROGRAMS = "marina.packaging.imports.program"  # of images, without a network
MODELS = ROOT / "models"
console = Console(soft_wrap=True, highlight=False)


def import_(
    name: Annotated[str, typer.Argument(help="name of the model, a Python name")],
    weights: Annotated[
        Path,
        typer.Option(
            help=".safetensors; .pth, .pt, .bin, .ckpt with tensors; TorchScript, .pt2, ONNX, .mar; Hugging Face folder"
        ),
    ],
    network: Annotated[
        str | None, typer.Option(help="torchvision.models:resnet18, timm:efficientnet_b0 or path/to/net.py:Net")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="side of the network's input, in pixels")] = None,
    mean: Annotated[str | None, typer.Option(help="of each channel, of values in 0..1: 0.485,0.456,0.406")] = None,
    std: Annotated[str | None, typer.Option(help="of each channel: 0.229,0.224,0.225")] = None,
    task: Annotated[str, typer.Option(help=f"one of: {', '.join(IMPORTERS)}")] = "image_classification",
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
    sign: Annotated[
        str | None, typer.Option(help="sha256 of an archive (.mar): take responsibility for its code")
    ] = None,
    trust_pickles: TrustPickles = False,
    replace: Annotated[bool, typer.Option("--replace", help="replace what an earlier import of NAME wrote")] = False,
    columns: Annotated[str | None, typer.Option(help="of a table: age,income,city", show_default="the file's")] = None,
    example: Annotated[
        Path | None, typer.Option(help="a row of a table, where explanations start", show_default="zeros, empty texts")
    ] = None,
) -> None:
    """Import weights that were trained elsewhere: write models/NAME.py and artifacts/NAME/VERSION/.

    Nothing is downloaded, and no code of a checkpoint runs. `marina archive NAME` packs the model.

    Example: marina import mine --network torchvision.models:resnet18 --weights resnet18.pth --size 224 --resize 256
    --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --labels labels.txt
    """
    if weights.suffix == ".mar":
        if given := [option for option, value in (("network", network), ("labels", labels), ("data", data)) if value]:
            raise ModelImportError(f"--{given[0]} describes weights; an archive (.mar) has all that it needs")
        import_archive(name, weights, version, sign, replace, STORE, KEYS, MODELS, trust_pickles)
        return
    if task not in IMPORTERS:
        raise ModelImportError(f"--task {task} can't be imported yet; supported: {', '.join(IMPORTERS)}")
    if data and task == "tabular_prediction":
        raise ModelImportError(f"--data can't measure a {task} pipeline yet: leave it out")
    from marina.packaging.imports import model_file
    from marina.packaging.imports.imported_model import ImportOptions
    from marina.training import imported

    model_file.check_name(name, version, MODELS)
    imported.check_replaceable(name, version, replace)
    images = codec_arguments(size, resize, channels, mean, std)
    names = tuple(word.strip() for word in columns.split(",")) if columns else ()
    options = ImportOptions(weights, network, labels, images, arguments_of(argument or []), names, example)
    importer = PROGRAMS if task == "image_classification" and network is None else IMPORTERS[task]
    model: ImportedModel = import_module(importer).imported(options)
    content, file = model_file.text(name, task, model), MODELS / f"{name}.py"
    fresh = model_file.to_write(file, content, imported.written_files(name), replace)
    test = imported.load_split(data, task, model.labels) if data else None
    for line in model.found:
        console.print(f"  {line}", markup=False)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    if fresh:
        file.write_text(content, encoding="utf-8")
    try:
        done = imported.write(
            *(model_file.reloaded(name), version, model), model_file.digest(file.read_text(encoding="utf-8")), test
        )
    except BaseException:
        if fresh:
            model_file.restore(file, before)
        raise
    for metric, value in done["metrics"].items():
        console.print(f"  {metric} {value:.4f} on {done['data']['name']}, {len(test.requests) if test else 0} requests")
    console.print(f"  {'wrote' if fresh else 'kept'} models/{name}.py, wrote artifacts/{name}/{version}/", markup=False)
    console.print(f"  next: marina archive {name} --version {version}")


def codec_arguments(
    size: int | None, resize: int | None, channels: int, mean: str | None, std: str | None
) -> dict[str, Any] | None:
    """Return the arguments of the image codec, None without options of images.

    Raises ModelImportError for values that no image has, or if one of size, mean and std is missing.
    """
    if size is None and mean is None and std is None:
        return None
    if size is None or mean is None or std is None:
        raise ModelImportError("--size, --mean and --std describe the images together: give all three, as in training")
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
