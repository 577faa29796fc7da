"""Helpers of all detectors: the options of a request, the objects of a response, and the annotated image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from handlers.codecs.letterbox import Letterboxed
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import NUMBER, STRING, array, schema
from models.parts.detection import Detections

THRESHOLD, TOP = 0.5, 100
OBJECT = schema(label=STRING, score=NUMBER, box={**array(NUMBER), "minItems": 4, "maxItems": 4})


@dataclass(frozen=True)
class DetectionInput:
    """The image as sent and in its square, the lowest score and the largest number of objects to return, the number of
    the object to explain, and whether the client accepts only a PNG.
    """

    file: bytes
    image: Letterboxed
    threshold: float
    top: int
    explained: int
    as_png: bool

    @classmethod
    def from_request(cls, request: Request, file: bytes, image: Letterboxed) -> "DetectionInput":
        """Read the request's options; raises BadRequest for one that is out of range."""
        top, explained = request.integer("top", 1) or TOP, request.integer("object", 0) or 0
        threshold = request.number("threshold", 0, 1)
        if threshold is None:
            threshold = THRESHOLD
        return cls(file, image, threshold, top, explained, request.accepts("image/png"))


def named_objects(found: Detections, decoded: DetectionInput, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the objects as members of the response; `found` is in the square of the input, best first."""
    keep = found["scores"] >= decoded.threshold
    boxes, scores, numbers = (part[keep][: decoded.top] for part in (found["boxes"], found["scores"], found["labels"]))
    rows = zip(decoded.image.to_image(boxes).tolist(), scores.tolist(), numbers.tolist(), strict=True)
    digits = decoded.image.decimals
    return [
        {"label": labels[number], "score": round(score, 6), "box": [round(edge, digits) for edge in box]}
        for box, score, number in rows
    ]


def explained_object(
    found: Sequence[Mapping[str, Any]], decoded: DetectionInput, target: str | None, labels: Sequence[str]
) -> dict[str, Any]:
    """Return the object to explain: number `explained`, from 0, of those with the label `target`, or of all.

    Raises BadRequest if there is no such class or object.
    """
    if target is not None and target not in labels:
        raise BadRequest("target", f"no class {target!r}; there are: {', '.join(labels[:20])}")
    kind = "object" if target is None else f"object {target!r}"
    candidates = [one for one in found if target in (None, one["label"])]
    if not candidates:
        score = decoded.threshold
        raise BadRequest("image", f"no {kind} with a score of at least {score} was found: nothing to explain")
    if decoded.explained >= len(candidates):
        last = len(candidates) - 1
        raise BadRequest("object", f"no {kind} with the number {decoded.explained}: found were 0 to {last}")
    return dict(candidates[decoded.explained])


def single_detection(found: Detections, index: int) -> Detections:
    """Return the object at `index`, as if nothing else had been found."""
    return cast(Detections, {name: part[index : index + 1] for name, part in dict[str, Any](found).items()})


def draw_boxes(image: Tensor, found: Sequence[Mapping[str, Any]], scale: float) -> Tensor:
    """Return the image with the boxes, labels and scores of the response's objects, `scale` times as large.

    image: (3, H, W) of uint8.
    """
    if not found:
        return image
    boxes = torch.tensor([one["box"] for one in found]) * scale
    names = [f"{one['label']} {one['score']:.2f}" for one in found]
    return draw_bounding_boxes(image, boxes, names, "red", width=2, label_colors="white", fill_labels=True)
