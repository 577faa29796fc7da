"""YOLO: one pass predicts for each cell of a grid objectness, boxes and the class of an object centred in it."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.ops import complete_box_iou_loss

from models.card import Card, Recipe, Serving
from models.parts.conv import Trunk, conv_bn
from models.parts.detection import Detections, Detector, Target


def leaky() -> nn.LeakyReLU:
    """Return LeakyReLU with the slope of the paper."""
    return nn.LeakyReLU(0.1)


class YOLO(Detector):
    """Each cell of a G x G grid, G = S / 16, predicts B times (x, y, w, h, objectness), and one class for all of them.

    x and y are the centre's position in its cell (limited by a sigmoid), w and h logarithms relative to the priors.
    Instead of YOLOv1's squared errors the losses are CIoU and cross entropies, as in its successors.
    """

    STRIDE = 16
    PRIORS = (0.2, 0.4)  # of S: the sides of the B boxes, from which w and h start
    COORDINATES, EMPTY = 5.0, 0.5  # the paper's weights of coordinates, and of boxes without object, which are most

    def __init__(self, num_classes: int = 20, size: int = 128) -> None:
        super().__init__()
        self.size = size
        self.grid = -(-size // self.STRIDE)
        self.boxes = len(self.PRIORS)
        self.trunk = Trunk((32, 64, 128), leaky)
        self.head = nn.Sequential(  # (N, 128, G, G) -> (N, B * 5 + classes, G, G)
            conv_bn(128, 128, 1, leaky),
            nn.Conv2d(128, 5 * self.boxes + num_classes, kernel_size=1),  # linear, as the paper's last layer
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images)[-1]).flatten(2).transpose(1, 2)  # (N, G * G, B * 5 + classes)

    def detections(self, raw: Tensor) -> list[Detections]:
        boxes, objectness, logits = self.decode(raw)
        scores = objectness.sigmoid().unsqueeze(-1) * logits.softmax(dim=-1).unsqueeze(2)  # (N, G * G, B, classes)
        return [self.best(*pair) for pair in zip(boxes.flatten(1, 2), scores.flatten(1, 2), strict=True)]

    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        boxes, objectness, logits = self.decode(self(images).float())
        truths, labels = (torch.cat([target[name] for target in targets]) for name in ("boxes", "labels"))
        counts = torch.tensor([len(target["labels"]) for target in targets])
        image = (
            torch.arange(len(targets)).repeat_interleave(counts).to(truths.device)
        )  # (M,): index of each object's image
        cell = self.cell_of(truths)  # (M,)
        guesses = boxes[image, cell]  # (M, B, 4)
        apart = complete_box_iou_loss(guesses, truths.unsqueeze(1).expand_as(guesses))  # (M, B)
        apart, responsible = apart.min(dim=1)  # the nearest box is trained to predict the object
        wanted = torch.zeros_like(objectness)
        wanted[image, cell, responsible] = 1
        doubt = binary_cross_entropy_with_logits(
            objectness, wanted, torch.where(wanted > 0, 1.0, self.EMPTY), reduction="sum"
        )
        count = max(len(truths), 1)
        return {
            "boxes": self.COORDINATES * apart.sum() / count,
            "objectness": doubt / count,
            "classes": cross_entropy(logits[image, cell], labels, reduction="sum") / count,
        }

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decode raw outputs, (N, G * G, B * 5 + classes).

        Returns boxes (N, G * G, B, 4) in pixels, and the logits of objectness (N, G * G, B) and of the classes
        (N, G * G, classes).
        """
        own = raw[..., : 5 * self.boxes].reshape(*raw.shape[:2], self.boxes, 5)
        logits = raw[..., 5 * self.boxes :]
        number = torch.arange(self.grid**2, device=raw.device).unsqueeze(1)
        corner = torch.stack([number % self.grid, number // self.grid], dim=-1)  # (G * G, 1, 2)
        centre = (corner + own[..., :2].sigmoid()) * self.STRIDE
        prior = torch.tensor(self.PRIORS, device=raw.device).unsqueeze(1) * self.size  # (B, 1)
        half = own[..., 2:4].clamp(max=4).exp() * prior / 2  # e^4: larger than any box, and finite
        return torch.cat([centre - half, centre + half], dim=-1), own[..., 4], logits

    def cell_of(self, boxes: Tensor) -> Tensor:
        """Return the index of the cell that contains each box's centre: (M, 4) -> (M,)."""
        x, y = ((boxes[:, :2] + boxes[:, 2:]) / (2 * self.STRIDE)).long().clamp(0, self.grid - 1).unbind(dim=1)
        return y * self.grid + x


CARD = Card(
    name="yolo",
    task="object_detection",
    network=YOLO,
    data="voc_digits",
    input={"size": 128, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=26, batch_size=16, lr=5e-3, weight_decay=5e-4, augment=("invert", "shift"), precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=15),
    floor={"map_50": 0.75},
    anchor="mAP 63.4 on VOC07 test (YOLOv1, pretrained on ImageNet)",
    source="Redmon et al., arXiv:1506.02640; prior sizes: arXiv:1612.08242; CIoU: arXiv:1911.08287",
    training_seconds=75,
)
