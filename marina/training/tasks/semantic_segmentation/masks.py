"""Masks of classes: intersection over union, loss, augmentation that moves masks along, and pictures."""

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
from handlers.codecs.segmentation_mask import colours
from marina.training.data.augmentation import IMAGES_PER_DRAW, annotated_transforms
from marina.training.data.formats.voc import BORDER, decode_mask


def mean_iou(classes: int) -> MulticlassJaccardIndex:
    """Return the metric over all pixels of all images together, as VOC counts; the mean is over the classes that are
    true or predicted. Borders are ignored.
    """
    return MulticlassJaccardIndex(classes, ignore_index=BORDER, validate_args=False)


def iou_metrics(truths: Sequence[bytes], found: Sequence[Tensor], labels: Sequence[str]) -> dict[str, Any]:
    """Return mean IoU, pixel accuracy, and the IoU of each class, for files of masks and masks (H, W) of the same
    sizes.
    """
    every = MulticlassJaccardIndex(len(labels), average="none", ignore_index=BORDER)
    figures = {
        "miou": mean_iou(len(labels)),
        "pixel_accuracy": MulticlassAccuracy(len(labels), average="micro", ignore_index=BORDER),
        "iou": every,
    }
    for truth, mask in zip(truths, found, strict=True):
        expected = torch.from_numpy(decode_mask(truth)).long()
        for metric in figures.values():
            metric.update(mask.long().unsqueeze(0), expected.unsqueeze(0))
    return {name: metric.compute() for name, metric in figures.items()}


def pixel_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean cross entropy of the pixels, plus 1 minus the mean over classes of the soft Dice coefficient of
    the whole batch, for which a class of few pixels counts as much as the background (Milletari et al.,
    arXiv:1606.04797).

    (N, C, H, W), (N, H, W). Borders are left out. Both come from one softmax, which takes longer than a small network.
    """
    known = masks != BORDER
    classes = masks[known]  # (M,)
    logs = logits.movedim(1, -1)[known].log_softmax(dim=1)  # (M, C)
    right = logs.gather(1, classes.unsqueeze(1)).squeeze(1)  # (M,)
    nothing = logs.new_zeros(logits.shape[1])
    common = nothing.index_add(0, classes, right.exp())
    total = logs.exp().sum(dim=0) + nothing.index_add(0, classes, torch.ones_like(right))
    dice = (2 * common + 1) / (total + 1)  # a class that occurs nowhere is right if it is not predicted
    return 1 - dice.mean() - right.mean()


def response_masks(responses: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    return [torch.from_numpy(decode_mask(base64.b64decode(response["mask"]))) for response in responses]


def letterboxed_mask(mask: Tensor, image: Letterboxed) -> Tensor:
    """Return the mask (H, W) of an image in its letterboxed square, (S, S); the padding is border. Raises ValueError
    for a mask of another size.
    """
    if tuple(mask.shape) != image.size:
        raise ValueError(f"a mask of {tuple(mask.shape)} for an image of {image.size}")
    left, top, right, bottom = image.window
    inner = resize(mask.unsqueeze(0), [bottom - top, right - left], InterpolationMode.NEAREST_EXACT)
    return image.placed(inner[0], BORDER)


def drawn(pixels: Tensor, mask: Tensor, classes: int) -> Tensor:
    """Return the image, (3, H, W) of uint8, with the classes of (H, W) in VOC's colours; background and border are not
    coloured.
    """
    layers = torch.stack([mask == number for number in range(1, classes)])
    return draw_segmentation_masks(pixels, layers, alpha=0.7, colors=colours(classes)[1:])


class MaskAugment:
    """Named transforms of batches (N, 3, S, S) of uint8, which move masks (N, S, S) along; `few` images share a draw of
    each transform.
    """

    def __init__(self, names: Sequence[str], fill: Sequence[float]) -> None:
        filled = {Image: [round(255 * channel) for channel in fill], Mask: BORDER}
        transforms = annotated_transforms(names, filled, "masks")
        self.transform = v2.Compose(transforms) if transforms else None

    def __call__(self, pixels: Tensor, masks: Tensor, few: int = IMAGES_PER_DRAW // 4) -> tuple[Tensor, Tensor]:
        if self.transform is None:
            return pixels, masks
        pairs = [
            self.transform(Image(some), Mask(theirs))
            for some, theirs in zip(torch.split(pixels, few), torch.split(masks, few), strict=True)
        ]
        changed, moved = (torch.cat([part.as_subclass(Tensor) for part in parts]) for parts in zip(*pairs, strict=True))
        return changed, moved
