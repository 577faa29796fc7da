"""Semantic segmentation: images -> the class of each pixel."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import make_grid

from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.segmentation_mask import classes_at
from marina.training.data.batches import Examples, encoded
from marina.training.data.dataset import Dataset, Split
from marina.training.data.formats.voc import decode_mask
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.semantic_segmentation.masks import (
    MaskAugment,
    drawn,
    iou_metrics,
    letterboxed_mask,
    mean_iou,
    pixel_loss,
    response_masks,
)
from models.parts.segmentation import Segmenter, upsampled

GRID = 16  # images in a picture


class SemanticSegmentation(Task):
    """Images are squares (N, 3, S, S) of uint8, masks as (N, S, S) of the classes' numbers.

    The network's outputs at all strides are trained at once, each by cross entropy and Dice.
    """

    METRIC = "miou"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: LetterboxCodec

    def prepare(self) -> None:
        self.codec = LetterboxCodec(**self.card.input)
        self.augment = MaskAugment(self.recipe.augment, self.codec.mean)
        self.arguments = {"num_classes": len(self.data.labels)}

    @property
    def segmenter(self) -> Segmenter:
        return cast(Segmenter, self.network)

    def encode(self, split: Split) -> Examples:
        return encoded(split.inputs, split.targets, self.encode_one, self.data.memory)

    def encode_one(self, file: bytes, mask: bytes) -> tuple[Tensor, Tensor]:
        """Return the square of an image, and that of its mask."""
        image = self.codec.letterbox(file)
        return image.pixels, letterboxed_mask(torch.from_numpy(decode_mask(mask)), image)

    def new_metric(self) -> Metric:
        return mean_iou(len(self.data.labels))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return pixel_loss(outputs, targets)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        del dataloader_idx
        pixels, masks = self.augment(*batch) if self.training else batch
        return self.codec.normalize(pixels).contiguous(memory_format=self.MEMORY_FORMAT), masks.long()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, masks = batch
        row, column = torch.randint(2, (2,)).tolist()
        some = masks[:, row::2, column::2]  # (N, S/2, S/2): scores of all pixels would take longer than the network
        losses = {
            stride: self.loss(upsampled(scores.float(), some.shape[-1]), some)
            for stride, scores in self.segmenter.scores(images).items()
        }
        loss = torch.stack(list(losses.values())).sum()
        self.log("loss/train", loss, prog_bar=True)
        self.log_dict({f"loss/{stride}s": part for stride, part in losses.items()})
        return loss

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, mask in zip(data.test.inputs, data.test.targets, strict=True):
            yield EvaluationRequest(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", mask)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the mean intersection over union, background included, and the share of pixels that are right."""
        found = iou_metrics(truths, response_masks(responses), responses[0]["labels"])
        return {name: float(found[name]) for name in ("miou", "pixel_accuracy")}

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the IoU of each class, and the metrics of the network's coarser outputs; draw a picture of masks."""
        labels = self.data.labels
        found = iou_metrics(truths, response_masks(responses), labels)
        coarser = {
            f"miou_{stride}s": float(iou_metrics(truths, masks, labels)["miou"])
            for stride, masks in self._coarser().items()
        }
        to_pil_image(self._grid(self.data.test, responses)).save(plots / "masks.png")
        gains = {
            f"gain_over_{name.removeprefix('miou_')}": float(found["miou"]) - value for name, value in coarser.items()
        }
        return coarser | gains, {
            "classes": {label: {"iou": iou} for label, iou in zip(labels, found["iou"].tolist(), strict=True)}
        }

    def on_train_start(self) -> None:
        """Show on TensorBoard the network's input."""
        if self.logger is None:
            return
        pixels, masks = self.augment(*self.train_examples[list(range(min(GRID, len(self.train_examples))))])
        pictures = [drawn(image, mask, len(self.data.labels)) for image, mask in zip(pixels, masks, strict=True)]
        self.logger.experiment.add_image("images/train", make_grid(pictures, nrow=4))  # type: ignore[attr-defined]

    def _coarser(self) -> dict[int, list[Tensor]]:
        """Return masks of the test split from the network's coarser outputs, made as the handler makes its own."""
        found: dict[int, list[Tensor]] = {
            stride: [] for stride in self.segmenter.STRIDES if stride > self.segmenter.stride
        }
        device = next(self.network.parameters()).device
        self.network.eval()
        for file in self.data.test.inputs:
            image = self.codec.letterbox(file)
            with torch.inference_mode():
                scores = self.segmenter.scores(self.codec.normalize(image.pixels).unsqueeze(0).to(device))
            for stride, masks in found.items():
                logits = upsampled(scores[stride], self.codec.size)[0].cpu()
                masks.append(classes_at(image.content(logits), image.size))
        return found

    def _grid(self, split: Split, responses: Sequence[Mapping[str, Any]]) -> Tensor:
        """Return the first images of the split in their squares: the true mask, and beside it the mask of the
        response.
        """
        classes = len(self.data.labels)
        pictures: list[Tensor] = []
        for file, truth, mask in zip(split.inputs[: GRID // 2], split.targets, response_masks(responses), strict=False):
            image = self.codec.letterbox(file)
            both = (torch.from_numpy(decode_mask(truth)), mask)
            pictures += [drawn(image.pixels, letterboxed_mask(shown, image), classes) for shown in both]
        return make_grid(pictures, nrow=4)
