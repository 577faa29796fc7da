"""What detectors have in common: the options of a request, the objects of a reply, and the annotated picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from handlers.codecs.letterbox import Letterboxed
from handlers.errors import BadRequest
from handlers.replies import NUMBER, STRING, array, schema
from handlers.row import Row
from models.parts.detection import Detections

THRESHOLD, TOP = 0.5, 100
OBJECT = schema(label=STRING, score=NUMBER, box={**array(NUMBER), "minItems": 4, "maxItems": 4})


@dataclass(frozen=True)
class Item:
    """One decoded request: the image as sent and in its square, the lowest score and the most objects to name, which
    of them an explanation is about, and whether a bare PNG is wanted.
    """

    file: bytes
    image: Letterboxed
    threshold: float
    top: int
    place: int
    as_png: bool

    @classmethod
    def of(cls, row: Row, file: bytes, image: Letterboxed) -> "Item":
        """Reads the row's options; raises BadRequest for those that make no sense."""
        top, place = row.whole("top", 1) or TOP, row.whole("object", 0) or 0
        share = row.number("threshold", 0, 1)
        return cls(file, image, THRESHOLD if share is None else share, top, place, row.accepts("image/png"))


def objects(found: Detections, item: Item, labels: Sequence[str]) -> list[dict[str, Any]]:
    """What a network found in the item's square, best first -> the members of the reply."""
    keep = found["scores"] >= item.threshold
    boxes, scores, numbers = (part[keep][: item.top] for part in (found["boxes"], found["scores"], found["labels"]))
    rows = zip(item.image.to_image(boxes).tolist(), scores.tolist(), numbers.tolist(), strict=True)
    return [
        {"label": labels[number], "score": round(score, 6), "box": [round(edge, 2) for edge in box]}
        for box, score, number in rows
    ]


def chosen(found: Sequence[Mapping[str, Any]], item: Item, target: str | None, labels: Sequence[str]) -> dict[str, Any]:
    """The object that an explanation is about: number `object`, from 0, of those whose label is `target`, or of all."""
    if target is not None and target not in labels:
        raise BadRequest("target", f"no class {target!r}; there are: {', '.join(labels[:20])}")
    kind = "object" if target is None else f"object {target!r}"
    those = [one for one in found if target in (None, one["label"])]
    if not those:
        raise BadRequest("image", f"no {kind} with a score of at least {item.threshold} was found: nothing to explain")
    if item.place >= len(those):
        raise BadRequest("object", f"no {kind} with the number {item.place}: found were 0 to {len(those) - 1}")
    return dict(those[item.place])


def alone(found: Detections, place: int) -> Detections:
    """The object at `place`, as if nothing else had been found."""
    return cast(Detections, {name: part[place : place + 1] for name, part in dict[str, Any](found).items()})


def boxed(image: Tensor, found: Sequence[Mapping[str, Any]], scale: float) -> Tensor:
    """The image with the boxes, labels and scores of the reply's objects, `scale` times as large."""
    if not found:
        return image
    boxes = torch.tensor([one["box"] for one in found]) * scale
    names = [f"{one['label']} {one['score']:.2f}" for one in found]
    return draw_bounding_boxes(image, boxes, names, "red", width=2, label_colors="white", fill_labels=True)
