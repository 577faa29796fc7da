"""Image classifiers from elsewhere: weights, network and labels are matched, and the result is tried."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.codecs.image import ImageCodec, png
from marina.errors import ModelImportError
from marina.packaging.imports import checkpoint as checkpoints
from marina.packaging.imports import matching
from marina.packaging.imports import network as networks
from marina.packaging.imports.checkpoint import Checkpoint
from marina.packaging.imports.imported_model import ImportedModel, ImportOptions
from marina.packaging.imports.network import NetworkSource

TASK = "image_classification"
GREY = 128  # of the example: an image without content
CLASSES = "num_classes"  # the argument of networks in torchvision and timm


@dataclass(frozen=True)
class ImportedClassifier:
    """A network with the weights of a checkpoint, and the `arguments` that it is built with.

    `prefix` was removed from the names of the weights; `head` names the weights of the last layer.
    """

    network: nn.Module
    arguments: Mapping[str, Any]
    labels: list[str]
    prefix: str
    head: str


def imported(options: ImportOptions) -> ImportedModel:
    """Return the classifier; raises ModelImportError if network, weights, labels and images don't fit together."""
    options.check_no_download()
    if options.images is None:
        raise ModelImportError(f"--task {TASK} needs --size, --mean and --std, as in training")
    source = networks.find(options.required_network(TASK))
    codec = ImageCodec(**options.images)
    read = checkpoints.read(options.weights)
    names = read_labels(options.labels) if options.labels else None
    fitted = fit(source, read, codec, options.arguments, names, str(options.labels))
    return model_of(source, read, codec, fitted, options)


def model_of(
    source: NetworkSource,
    read: Checkpoint,
    codec: ImageCodec,
    fitted: ImportedClassifier,
    options: ImportOptions,
    not_exported: str = "",
) -> ImportedModel:
    """Return the model of a fitted classifier, with the lines for the user and a grey image as the example."""
    shape = (codec.channels, codec.size, codec.size)
    lines = [
        read.summary(fitted.prefix),
        f"{len(fitted.labels)} classes{f' ({fitted.head})' if fitted.head else ''}, {options.labels_source}",
        f"images of {' x '.join(map(str, shape))}{f', cropped from {codec.resize}' if codec.resize else ''}",
    ]
    if repeated := sorted({label for label in fitted.labels if fitted.labels.count(label) > 1}):
        lines.append(f"labels of several classes: {', '.join(repeated[:5])}; an explanation explains the first of them")
    return ImportedModel(
        source=source,
        network=fitted.network,
        arguments=fitted.arguments,
        labels=fitted.labels,
        input=options.images or {},
        codec=codec,
        example=(png(torch.full(shape, GREY, dtype=torch.uint8)), "image/png"),
        origin=read.origin(source.given),
        found=lines,
        not_exported=not_exported,
    )


def fit(
    source: NetworkSource,
    checkpoint: Checkpoint,
    codec: ImageCodec,
    arguments: Mapping[str, Any],
    labels: list[str] | None,
    labels_title: str = "",
) -> ImportedClassifier:
    """Return the network with the weights. The number of classes is that of the weights, if `arguments` has none.

    `labels` are numbered if there are none; `labels_title` names their file. Raises ModelImportError if network,
    weights, labels and the codec's images don't fit together.
    """
    arguments = {**source.offline(), **arguments}
    network = source.build(arguments)
    expected = network.state_dict()
    prefix, tensors = matching.without_prefix(checkpoint.tensors, expected)
    classes = _output(source.given, network, codec).shape[1]
    head = next(
        (name for name in reversed(expected) if expected[name].dim() > 1 and len(expected[name]) == classes), ""
    )
    own = tensors.get(head, torch.empty(0))
    if CLASSES not in arguments and source.accepts(CLASSES):
        if own.shape[1:] == expected.get(head, own).shape[1:] and own.dim() > 1:
            classes = len(own)
        arguments |= {CLASSES: classes}
        network = source.build(arguments)
        expected = network.state_dict()
    matching.check(checkpoint.file.name, source.given, tensors, expected)
    if labels is not None and len(labels) != classes:
        shape = f" ({head} is {matching.shape(own)})" if head else ""
        raise ModelImportError(f"the weights have {classes} classes{shape}, {labels_title} has {len(labels)} labels")
    network.load_state_dict({**expected, **tensors})
    if not _output(source.given, network, codec).isfinite().all():
        raise ModelImportError(f"{checkpoint.file.name}: with these weights, the network's output is not finite")
    return ImportedClassifier(network, arguments, labels or [str(n) for n in range(classes)], prefix, head)


def _output(title: str, network: nn.Module, codec: ImageCodec) -> Tensor:
    """Return the output for two grey images, (2, classes). Raises ModelImportError if it is no classifier's."""
    shape = (codec.channels, codec.size, codec.size)
    images = codec.normalize(torch.full((2, *shape), 128, dtype=torch.uint8))
    try:
        with torch.inference_mode():
            output = network(images)
    except Exception as exc:  # it is the user's code
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ModelImportError(f"{title} fails on images of {' x '.join(map(str, shape))}: {reason}") from exc
    if not (isinstance(output, Tensor) and output.dim() == 2 and len(output) == 2):
        found = f"a tensor of {matching.shape(output)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelImportError(f"{title} returns {found} for 2 images; image_classification needs logits, 2 x classes")
    return output


def read_labels(file: Path) -> list[str]:
    """Return the labels of a text file, one a line, or of a JSON list. Raises ModelImportError."""
    try:
        text = file.read_text(encoding="utf-8")
        labels = json.loads(text) if file.suffix == ".json" else [line.strip() for line in text.splitlines()]
    except FileNotFoundError as exc:
        raise ModelImportError(f"--labels: no file {file}") from exc
    except (OSError, ValueError) as exc:
        raise ModelImportError(f"--labels {file}: {exc}") from exc
    if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        raise ModelImportError(f"--labels {file}: a JSON file of labels holds a list of strings")
    return [label for label in labels if label]
