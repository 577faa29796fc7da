"""SSD: one pass predicts class and offsets of thousands of default boxes on maps of several scales."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from models.card import Card, Recipe, Serving
from models.parts.anchors import CODER, default_boxes, hard_negatives, match
from models.parts.conv import Trunk
from models.parts.detection import Detections, Detector, Target


class SSD(Detector):
    """A 3x3 convolution on each of three maps predicts 4 offsets and the classes, background first, of 6 boxes per
    position.

    For S = 128 that makes 6 * (16 * 16 + 8 * 8 + 4 * 4) = 2,016 boxes, 18 to 100 pixels large.
    """

    STRIDES = (8, 16, 32)
    WIDTHS = (32, 64, 96, 128)
    SCALES = (0.15, 0.28, 0.5, 0.75)
    RATIOS = (2, 3)
    anchors: Tensor

    def __init__(self, num_classes: int = 20, size: int = 128) -> None:
        super().__init__()
        self.size = size
        self.outputs = 4 + 1 + num_classes
        anchors, self.places = default_boxes(size, list(self.STRIDES), list(self.SCALES), list(self.RATIOS))
        self.register_buffer("anchors", anchors, persistent=False)
        self.trunk = Trunk(self.WIDTHS)
        self.heads = nn.ModuleList(
            nn.Conv2d(width, self.places * self.outputs, kernel_size=3, padding=1) for width in self.WIDTHS[1:]
        )

    def forward(self, images: Tensor) -> Tensor:
        raw = []
        for features, head in zip(self.trunk(images)[1:], self.heads, strict=True):
            maps = head(features).unflatten(1, (self.places, self.outputs))  # (N, places, outputs, H, W)
            raw.append(maps.permute(0, 3, 4, 1, 2).flatten(1, 3))  # (N, H * W * places, outputs)
        return torch.cat(raw, dim=1)  # (N, A, 4 + 1 + classes)

    def detections(self, raw: Tensor) -> list[Detections]:
        anchors = self.anchors.to(raw.device)
        found = []
        for offsets, logits in zip(raw[..., :4], raw[..., 4:], strict=True):
            scores = logits.softmax(dim=-1)[:, 1:]  # (A, classes)
            found.append(self.best(CODER.decode_single(offsets, anchors), scores))
        return found

    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        raw = self(images).float()
        classes, offsets = (
            torch.stack(parts) for parts in zip(*(match(t, self.anchors) for t in targets), strict=True)
        )
        matched = classes > 0  # (N, A)
        count = matched.sum().clamp(min=1)
        wrong = cross_entropy(raw[..., 4:].transpose(1, 2), classes, reduction="none")  # (N, A)
        return {
            "classes": (wrong * (matched | hard_negatives(wrong, matched))).sum() / count,
            "boxes": smooth_l1_loss(raw[..., :4][matched], offsets[matched], reduction="sum") / count,
        }


CARD = Card(
    name="ssd",
    task="object_detection",
    network=SSD,
    data="voc_digits",
    input={"size": 128, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=20, batch_size=16, lr=5e-3, weight_decay=5e-4, augment=("invert", "shift"), precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=15),
    floor={"map_50": 0.80},
    anchor="mAP 74.3 (SSD300) to 77.2 (with more augmentation) on VOC07 test, VGG-16 pretrained",
    source="Liu et al., arXiv:1512.02325, with a small trunk for 128x128 images",
    training_seconds=78,
)
