"""What is said of a mask: the share of each class, the class that is asked about, and the mask drawn over its image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.image import png, read_pixels
from handlers.codecs.letterbox import Letterboxed
from handlers.codecs.mask import classes_at, colours
from handlers.display import scaled
from handlers.errors import BadRequest


@dataclass(frozen=True)
class Photo:
    """An image as sent, and in its square."""

    file: bytes
    image: Letterboxed


def shares(mask: Tensor, labels: Sequence[str]) -> dict[str, float]:
    """(H, W) of uint8 -> the share of the pixels that each class has, of those that have any, the largest first."""
    counts = mask.flatten().bincount(minlength=len(labels)) / mask.numel()
    return {labels[place]: round(float(counts[place]), 6) for place in counts.argsort(descending=True) if counts[place]}


def asked(found: Mapping[str, float], target: str | None, labels: Sequence[str]) -> str:
    """The label of the class that an explanation is about: `target`, or the largest class but for the background,
    labels[0], which it is only where nothing else was found. Raises BadRequest for a class that is not there.
    """
    if target is None:
        return next((label for label in found if label != labels[0]), labels[0])
    if target not in found:
        raise BadRequest("target", f"no class {target[:40]!r} in the mask; there are: {', '.join(list(found)[:20])}")
    return target


def pixels_of(scores: Tensor, number: int) -> Tensor:
    """(C, h, w) -> (h, w) of bool: where this class is the best. Where interpolation alone brought it into the mask of
    the image, the place where it is nearest to that.
    """
    own = scores.argmax(dim=0) == number
    if own.any():
        return own
    lead = scores[number] - scores.amax(dim=0)
    return lead == lead.max()


def painted(file: bytes, scores: Tensor, labels: Sequence[str]) -> bytes:
    """PNG bytes of the image with the classes drawn over it in the colours of the mask; scores: (C, h, w)."""
    image, _ = scaled(read_pixels(file, 3))  # (3, H, W)
    mask = classes_at(scores, (image.shape[1], image.shape[2]))
    layers = torch.stack([mask == number for number in range(1, len(labels))])  # the background stays bare
    return png(draw_segmentation_masks(image, layers, alpha=0.6, colors=colours(len(labels))[1:]))
