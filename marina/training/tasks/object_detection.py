"""Object detection: images -> objects with label and box."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import Metric
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import make_grid

from handlers.codecs.letterbox import LetterboxCodec, Letterboxed
from handlers.vision.detection import THRESHOLD
from marina.training.data.batches import Examples, encoded
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.common.boxes import MAP50, BoxAugment, average_precision, labels_of, overlay_boxes
from models.parts.detection import Detections, Detector, Target

GRID_IMAGES = 16  # images in a grid, of GRID_COLUMNS a row
GRID_COLUMNS = 4


class ObjectDetection(Task):
    """Training and evaluation of detectors.

    Images are letterboxed to squares (N, 3, S, S) of uint8, and boxes are in pixels of the square. The network computes
    its own losses (models/parts/detection.py); training minimizes their sum and logs each.
    """

    METRIC = "map_50"
    MEMORY_FORMAT = torch.channels_last
    codec: LetterboxCodec

    def prepare(self) -> None:
        self.codec = LetterboxCodec(**self.card.input)
        self.augment = BoxAugment(self.recipe.augment, self.codec.mean)
        self.arguments = {"num_classes": len(self.data.labels), "size": self.codec.size}

    @property
    def detector(self) -> Detector:
        return cast(Detector, self.network)

    def encode(self, split: Split) -> Examples:
        return encoded(split.inputs, split.targets, self.encode_one, self.data.memory)

    def encode_one(self, file: bytes, target: Mapping[str, Any]) -> tuple[Tensor, Target]:
        """Return the letterboxed image, (3, S, S) of uint8, and its target in pixels of that square."""
        image = self.codec.letterbox(file)
        return image.pixels, self.target(image, target)

    def target(self, image: Letterboxed, target: Mapping[str, Any]) -> Target:
        """Return the objects of an image in pixels of its square, without those marked `difficult` in the data.

        Such an object (a term of PASCAL VOC) is hard to recognize: to miss it is no error in evaluation.
        """
        easy = ~torch.tensor(target["difficult"], dtype=torch.bool)
        boxes = image.to_square(torch.tensor(target["boxes"], dtype=torch.float32).view(-1, 4))
        return {"boxes": boxes[easy], "labels": torch.tensor(target["labels"], dtype=torch.int64)[easy]}

    def new_metric(self) -> Metric:
        return MAP50()

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        raise NotImplementedError("a detector computes its losses from images, not from outputs: call training_step")

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, list[Target]], dataloader_idx: int
    ) -> tuple[Tensor, list[Target]]:
        del dataloader_idx
        pixels, targets = self.augment(*batch) if self.training else batch
        return self.codec.normalize(pixels).contiguous(memory_format=self.MEMORY_FORMAT), targets

    def training_step(self, batch: tuple[Tensor, list[Target]], _: int) -> Tensor:
        losses = self.detector.losses(*batch)
        loss = torch.stack(list(losses.values())).sum()
        self.log("loss/train", loss, prog_bar=True, batch_size=len(batch[1]))
        self.log_dict({f"loss/{name}": part for name, part in losses.items()}, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch: tuple[Tensor, list[Target]], _: int) -> None:
        images, targets = batch
        self.metric.update(self.metric_detections(self.network(images).float()), targets)
        loss = torch.stack(list(self.detector.losses(images, targets).values())).sum()
        self.log("loss/validation", loss, batch_size=len(targets), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True, batch_size=len(targets))

    def metric_detections(self, output: Tensor) -> Sequence[Detections]:
        """Return the network's output in the form that the validation metric takes."""
        return self.detector.detections(output)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            kind = "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png"
            yield EvaluationRequest(
                file, kind, {**target, "labels": [data.labels[number] for number in target["labels"]]}
            )

    @property
    def options(self) -> dict[str, str]:
        return {"threshold": "0"}  # average precision is over all scores

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the mean average precision, at IoU 0.5 and the mean over 0.5 to 0.95."""
        found = average_precision(truths, responses, labels_of(truths, responses))
        return {name: float(found[name]) for name in ("map_50", "map")}

    @staticmethod
    def coco_metrics(
        truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return the metrics that COCO defines, among them the average precision and the curve of each class."""
        return average_precision(truths, responses, labels)

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the average precision of each class; draw its curve at IoU 0.5, and a picture of the detections."""
        labels = labels_of(truths, responses)
        found = self.coco_metrics(truths, responses, labels)
        figure = Figure((6, 5), layout="constrained")
        axes = figure.subplots()
        # At the first IoU, 0.5, for objects of all sizes, and the largest number of detections: (101 recalls, classes).
        curves = found["precision"][0, :, :, 0, -1]
        for index, curve in zip(found["classes"].view(-1).tolist(), curves.T, strict=True):
            axes.plot(np.linspace(0, 1, len(curve)), curve, label=labels[index])
        axes.set(xlabel="recall", ylabel="precision", title="precision and recall at IoU 0.5", ylim=(0, 1.02))
        axes.legend(fontsize="small")
        figure.savefig(plots / "precision_recall.png")
        to_pil_image(self._detections_grid(self.data.test, responses)).save(plots / "detections.png")
        each = zip(found["classes"].view(-1).tolist(), found["map_per_class"].view(-1).tolist(), strict=True)
        return {}, {"classes": {labels[index]: {"map": value} for index, value in each}}

    def on_train_start(self) -> None:
        """Log a grid of augmented training images, with their objects, to TensorBoard."""
        if self.logger is None:
            return
        pixels, targets = self.augment(*self.train_examples[list(range(min(GRID_IMAGES, len(self.train_examples))))])
        names = [[self.data.labels[number] for number in target["labels"].tolist()] for target in targets]
        pictures = [self.overlay_objects(*one) for one in zip(pixels, targets, names, strict=True)]
        self.logger.experiment.add_image("images/train", make_grid(pictures, nrow=GRID_COLUMNS))  # type: ignore[attr-defined]

    def _detections_grid(self, split: Split, responses: Sequence[Mapping[str, Any]]) -> Tensor:
        """Return a grid of the first images of the split, with the detections that a request returns by default."""
        pictures = []
        for file, response in zip(split.inputs[:GRID_IMAGES], responses, strict=False):
            image = self.codec.letterbox(file)
            confident = [one for one in response["objects"] if one["score"] >= THRESHOLD]
            pictures.append(
                self.overlay_objects(
                    image.pixels, self.response_target(image, confident), [one["label"] for one in confident]
                )
            )
        return make_grid(pictures, nrow=GRID_COLUMNS)

    def response_target(self, image: Letterboxed, objects: Sequence[Mapping[str, Any]]) -> Target:
        """Return the objects of a response, which are in pixels of the image as sent, as a target in its square."""
        boxes = image.to_square(torch.tensor([one["box"] for one in objects]).view(-1, 4))
        return {"boxes": boxes, "labels": torch.tensor([self.data.labels.index(one["label"]) for one in objects])}

    def overlay_objects(self, pixels: Tensor, target: Target, names: Sequence[str]) -> Tensor:
        """Return the image, (3, S, S) of uint8, with the boxes of the objects and a name at each."""
        return overlay_boxes(pixels, target["boxes"], names)
