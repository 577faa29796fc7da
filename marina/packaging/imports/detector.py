"""Object detectors of torchvision from elsewhere, which scale and normalize images themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.ssd import SSD

from handlers.codecs.image import png
from handlers.codecs.whole_image import WholeImageCodec
from marina.errors import ModelImportError
from marina.packaging.imports import checkpoint, matching
from marina.packaging.imports import network as networks
from marina.packaging.imports.classifier import CLASSES, read_labels
from marina.packaging.imports.imported_model import ImportedModel, ImportOptions
from marina.packaging.imports.network import NetworkSource
from models.parts.library_detector import LibraryDetector

TASK = "object_detection"
BACKGROUND = "__background__"  # as torchvision's own lists of classes have it
MEMBERS = {"boxes", "labels", "scores"}
CODEC = {"cover": 0.5}
EXAMPLE = (3, 240, 320)
# One image at a time: each takes all of a core. An explanation takes (explain_steps + 1) squared predictions.
SERVING = {"batch_size": 1, "explain_steps": 6, "response_timeout": 120}
WRAPPER = "from models.parts.library_detector import LibraryDetector"
FROZEN = (
    "batch normalization was frozen: if training began with torchvision's COCO_V1 weights, its eps is 0, and the "
    "network must set it (docs/guides/import.md)"
)


def imported(options: ImportOptions) -> ImportedModel:
    """Return the detector; raises ModelImportError if network, weights and labels don't fit together."""
    options.check_no_download()
    source = networks.find(options.required_network(TASK))
    read = checkpoint.read(options.weights)
    arguments = {**source.offline(), **options.arguments}
    network = source.build(arguments)
    prefix, tensors = matching.without_prefix(read.tensors, network.state_dict())
    if CLASSES not in arguments and (classes := number_of_classes(source, arguments, tensors)):
        arguments |= {CLASSES: classes}
        network = source.build(arguments)
    expected = network.state_dict()
    matching.check(read.file.name, source.given, tensors, expected)
    if broken := [name for name, value in tensors.items() if not value.isfinite().all()]:
        raise ModelImportError(f"{read.file.name}: {broken[0]} has values that are not finite")
    network.load_state_dict({**expected, **tensors})
    check_output(source.given, network)
    labels = labels_of(network, arguments.get(CLASSES), options)
    lines = [read.summary(prefix), f"{len(labels)} classes, {options.labels_source}", "images of any size"]
    if any(name.endswith(matching.OPTIONAL) and name not in tensors for name in expected):
        lines.append(FROZEN)
    return ImportedModel(
        source=replace(source, expression=f"LibraryDetector.of({source.expression})", ours=WRAPPER),
        network=LibraryDetector(network),
        arguments=arguments,
        labels=labels,
        input=CODEC,
        codec=WholeImageCodec(**CODEC),
        example=(png(torch.full(EXAMPLE, 128, dtype=torch.uint8)), "image/png"),
        origin=read.origin(source.given),
        found=lines,
        serving=SERVING,
        options={"threshold": "0"},  # average precision is over all scores
        not_exported="it scales images and applies NMS itself, for one size at a time",
    )


def number_of_classes(source: NetworkSource, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes by which the network has tensors of these shapes; None if no tensor depends on it.

    It is solved from the first tensor whose length differs between networks of two and three classes.
    """
    if not source.accepts(CLASSES):
        return None
    two, three = (source.build({**arguments, CLASSES: count}).state_dict() for count in (2, 3))
    for name, value in two.items():
        step = len(three[name]) - len(value) if value.dim() else 0
        if step and name in tensors and tensors[name].dim():
            more, rest = divmod(len(tensors[name]) - len(value), step)
            return 2 + more if rest == 0 and more > -2 else None
    return None


def labels_of(network: nn.Module, classes: int | None, options: ImportOptions) -> list[str]:
    """Return the labels by number. Two-stage networks and SSD count from 1, 0 being the background."""
    given = read_labels(options.labels) if options.labels else None
    if classes is None:
        if given is None:
            raise ModelImportError(f"{options.network} has no argument {CLASSES}: --labels gives the classes")
        return given
    with_background = isinstance(network, GeneralizedRCNN | SSD)
    if given is None:
        return [str(number) for number in range(classes)]
    if with_background and len(given) == classes - 1:
        return [BACKGROUND, *given]
    if len(given) != classes:
        counted = f"{classes} classes{' with the background' if with_background else ''}"
        raise ModelImportError(f"the weights have {counted}, {options.labels} has {len(given)} labels")
    return given


def check_output(title: str, network: nn.Module) -> None:
    """Raise ModelImportError if the network's output for two images is not that of torchvision's detectors."""
    images = [torch.rand(3, 64, 96), torch.rand(3, 80, 64)]
    try:
        with torch.inference_mode():
            output = network(images)
    except Exception as exc:  # it may be the user's code
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ModelImportError(f"{title} fails on a list of two images: {reason}") from exc
    if not (isinstance(output, list) and len(output) == 2 and all(isinstance(one, dict) for one in output)):
        raise ModelImportError(f"{title} returns {type(output).__name__}; {TASK} needs a dictionary for each image")
    if missing := MEMBERS - output[0].keys():
        raise ModelImportError(f"{title} returns no {', '.join(sorted(missing))} of an image; {TASK} needs them")
