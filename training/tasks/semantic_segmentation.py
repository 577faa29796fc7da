"""Images -> the class of each pixel."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import make_grid

from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.mask import classes_at
from models.parts.segmentation import Segmenter, upsampled
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.data.masks import mask_of
from training.requests import Request
from training.segmentation import MaskAugment, drawn, in_square, masks_in, mean_iou, overlap, pixel_loss
from training.task import Task

GRID = 16  # images in a picture


class SemanticSegmentation(Task):
    """Images lie in memory as squares (N, 3, S, S) of uint8, masks as (N, S, S) of the classes' numbers.

    The answers at all strides of the network are taught at once, each by cross entropy and Dice.
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
        images = [self.codec.letterbox(file) for file in split.inputs]
        masks = [
            in_square(torch.from_numpy(mask_of(file)), image) for file, image in zip(split.targets, images, strict=True)
        ]
        return Examples(torch.stack([image.pixels for image in images]), torch.stack(masks))

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
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for file, mask in zip(data.test.inputs, data.test.targets, strict=True):
            yield Request(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", mask)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Mean intersection over union, background counted in, and the share of pixels that are right."""
        found = overlap(truths, masks_in(replies), replies[0]["labels"])
        return {name: float(found[name]) for name in ("miou", "pixel_accuracy")}

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The IoU of each class, what coarser answers of the same network are worth, and a picture of masks."""
        labels = self.data.labels
        found = overlap(truths, masks_in(replies), labels)
        coarser = {
            f"miou_{stride}s": float(overlap(truths, masks, labels)["miou"])
            for stride, masks in self._coarser().items()
        }
        to_pil_image(self._grid(self.data.test, replies)).save(plots / "masks.png")
        gains = {
            f"gain_over_{name.removeprefix('miou_')}": float(found["miou"]) - value for name, value in coarser.items()
        }
        return coarser | gains, {
            "classes": {label: {"iou": iou} for label, iou in zip(labels, found["iou"].tolist(), strict=True)}
        }

    def on_train_start(self) -> None:
        """Show on TensorBoard what the network will see."""
        if self.logger is None:
            return
        pixels, masks = self.augment(*self.train_examples[list(range(min(GRID, len(self.train_examples))))])
        pictures = [drawn(image, mask, len(self.data.labels)) for image, mask in zip(pixels, masks, strict=True)]
        self.logger.experiment.add_image("images/train", make_grid(pictures, nrow=4))  # type: ignore[attr-defined]

    def _coarser(self) -> dict[int, list[Tensor]]:
        """Masks of the test split by the network's coarser answers, made as the handler makes its own."""
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
                answer = upsampled(scores[stride], self.codec.size)[0].cpu()
                masks.append(classes_at(image.content(answer), image.size))
        return found

    def _grid(self, split: Split, replies: Sequence[Mapping[str, Any]]) -> Tensor:
        """The first images of the split in their squares: what is there, and beside it what the replies say."""
        classes = len(self.data.labels)
        pictures: list[Tensor] = []
        for file, truth, mask in zip(split.inputs[: GRID // 2], split.targets, masks_in(replies), strict=False):
            image = self.codec.letterbox(file)
            both = (torch.from_numpy(mask_of(truth)), mask)
            pictures += [drawn(image.pixels, in_square(shown, image), classes) for shown in both]
        return make_grid(pictures, nrow=4)
