"""What the tasks with masks share: intersection over union, random changes that move masks along, and pictures."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import resize
from torchvision.tv_tensors import Image, Mask
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.letterbox import Letterboxed
from handlers.codecs.mask import colours
from training.augment import SHARED, TRANSFORMS
from training.data.masks import BORDER, mask_of


def mean_iou(classes: int) -> MulticlassJaccardIndex:
    """Of all pixels of all images together, as VOC counts; the mean is over the classes that are there or were said to
    be. Borders count for nothing.
    """
    return MulticlassJaccardIndex(classes, ignore_index=BORDER, validate_args=False)


def overlap(truths: Sequence[bytes], found: Sequence[Tensor], labels: Sequence[str]) -> dict[str, Any]:
    """The files of masks, and masks (H, W) of the same sizes -> mean IoU, pixel accuracy, and the IoU of each class."""
    every = MulticlassJaccardIndex(len(labels), average="none", ignore_index=BORDER)
    figures = {
        "miou": mean_iou(len(labels)),
        "pixel_accuracy": MulticlassAccuracy(len(labels), average="micro", ignore_index=BORDER),
        "iou": every,
    }
    for truth, mask in zip(truths, found, strict=True):
        wanted = torch.from_numpy(mask_of(truth)).long()
        for metric in figures.values():
            metric.update(mask.long().unsqueeze(0), wanted.unsqueeze(0))
    return {name: metric.compute() for name, metric in figures.items()}


def pixel_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """(N, C, H, W), (N, H, W) -> mean cross entropy of the pixels, plus 1 minus the mean over classes of the soft Dice
    coefficient of the whole batch, to which a class of few pixels is worth as much as the background (Milletari et al.,
    arXiv:1606.04797). Borders are left out. Both come from one softmax, which takes longer than a small network.
    """
    known = masks != BORDER
    classes = masks[known]  # (M,)
    logs = logits.movedim(1, -1)[known].log_softmax(dim=1)  # (M, C)
    right = logs.gather(1, classes.unsqueeze(1)).squeeze(1)  # (M,)
    nothing = logs.new_zeros(logits.shape[1])
    common = nothing.index_add(0, classes, right.exp())
    total = logs.exp().sum(dim=0) + nothing.index_add(0, classes, torch.ones_like(right))
    dice = (2 * common + 1) / (total + 1)  # a class that is nowhere is right if nobody says it
    return 1 - dice.mean() - right.mean()


def masks_in(replies: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    return [torch.from_numpy(mask_of(base64.b64decode(reply["mask"]))) for reply in replies]


def in_square(mask: Tensor, image: Letterboxed) -> Tensor:
    """(H, W) of an image -> (S, S) of its square; what is beside the image is border. Raises ValueError for a mask of
    another size.
    """
    if tuple(mask.shape) != image.size:
        raise ValueError(f"a mask of {tuple(mask.shape)} for an image of {image.size}")
    left, top, right, bottom = image.window
    inner = resize(mask.unsqueeze(0), [bottom - top, right - left], InterpolationMode.NEAREST_EXACT)
    return image.placed(inner[0], BORDER)


def drawn(pixels: Tensor, mask: Tensor, classes: int) -> Tensor:
    """(3, H, W) of uint8 with the classes of (H, W) over it, in VOC's colours; background and border stay bare."""
    layers = torch.stack([mask == number for number in range(1, classes)])
    return draw_segmentation_masks(pixels, layers, alpha=0.7, colors=colours(classes)[1:])


class MaskAugment:
    """The named transforms on batches (N, 3, S, S) of uint8, masks (N, S, S) moved along; `few` images share a draw of
    each."""

    def __init__(self, names: Sequence[str], fill: Sequence[float]) -> None:
        known = {name: transform(0) for name, transform in TRANSFORMS.items() if name in ("color", "gray", "invert")}
        known["shift"] = v2.RandomAffine(
            degrees=0,
            translate=(0.15, 0.15),
            scale=(0.8, 1.25),
            interpolation=InterpolationMode.BILINEAR,
            fill={Image: [round(255 * channel) for channel in fill], Mask: BORDER},
        )
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"no augmentation {', '.join(unknown)} of masks; there are: {', '.join(known)}")
        self.transform = v2.Compose([known[name] for name in names]) if names else None

    def __call__(self, pixels: Tensor, masks: Tensor, few: int = SHARED // 4) -> tuple[Tensor, Tensor]:
        if self.transform is None:
            return pixels, masks
        pairs = [
            self.transform(Image(some), Mask(theirs))
            for some, theirs in zip(torch.split(pixels, few), torch.split(masks, few), strict=True)
        ]
        changed, moved = (torch.cat([part.as_subclass(Tensor) for part in parts]) for parts in zip(*pairs, strict=True))
        return changed, moved
