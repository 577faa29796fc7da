"""Facts of a mask of classes: the share of each class, the class to explain, and the mask drawn over its image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.image import png
from handlers.codecs.letterbox import Letterboxed
from handlers.codecs.segmentation_mask import classes_at, colours
from handlers.errors import BadRequest
from handlers.vision.drawing import read_for_display


@dataclass(frozen=True)
class SegmentationInput:
    """An image as sent, and in its square."""

    file: bytes
    image: Letterboxed


def class_shares(mask: Tensor, labels: Sequence[str]) -> dict[str, float]:
    """Return the share of the pixels of each class that has any, the largest first; mask: (H, W) of uint8.

    >>> class_shares(torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8), ["background", "cat", "dog"])
    {'cat': 0.75, 'background': 0.25}
    """
    counts = mask.flatten().bincount(minlength=len(labels)) / mask.numel()
    order = counts.argsort(descending=True)
    return {labels[number]: round(float(counts[number]), 6) for number in order if counts[number]}


def explained_class(found: Mapping[str, float], target: str | None, labels: Sequence[str]) -> str:
    """Return the label of the class to explain: `target`, or the largest class but for the background, labels[0], which
    it is only if nothing else was found. Raises BadRequest for a class that is not in the mask.
    """
    if target is None:
        return next((label for label in found if label != labels[0]), labels[0])
    if target not in found:
        raise BadRequest("target", f"no class {target[:40]!r} in the mask; there are: {', '.join(list(found)[:20])}")
    return target


def class_pixels(scores: Tensor, number: int) -> Tensor:
    """Return where the class `number` has the highest score: (C, h, w) -> (h, w) of bool.

    If interpolation alone brought the class into the mask of the image, return the pixels where it is nearest to that.
    """
    own = scores.argmax(dim=0) == number
    if own.any():
        return own
    lead = scores[number] - scores.amax(dim=0)
    return lead == lead.max()


def draw_class_masks(file: bytes, scores: Tensor, labels: Sequence[str]) -> bytes:
    """Return PNG bytes of the image with the classes drawn over it in the colours of the mask; scores: (C, h, w)."""
    image, _ = read_for_display(file)  # (3, H, W)
    mask = classes_at(scores, (image.shape[1], image.shape[2]))
    layers = torch.stack([mask == number for number in range(1, len(labels))])  # the background is not drawn
    return png(draw_segmentation_masks(image, layers, alpha=0.6, colors=colours(len(labels))[1:]))
