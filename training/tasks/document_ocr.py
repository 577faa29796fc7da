"""Images of invoices -> their lines and their fields."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from handlers.codecs.invoice import InvoiceCodec
from models.card import Card, Recipe
from models.invoice import Invoice
from training import beginnings, document_scores, invoice_parts, text_losses
from training.batches import Batches, Examples, loader
from training.data.dataset import Dataset, Split
from training.requests import Request
from training.task import Task
from training.tasks.text_recognition import PathErrorRate


class DocumentOcr(Task):
    """The two parts learn side by side: in each step the reader a batch of lines, the detector a tile of a page. Both
    begin with what ctpn and crnn know; the reader's characters are crnn's and those of the invoices.
    """

    QUICK: ClassVar = {"train": 12, "validation": 4, "test": 6}  # pages, each of some forty lines
    METRIC = "character_error_rate"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: InvoiceCodec
    network: Invoice

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        beginnings.begin(self.network, self.codec.alphabet)

    def prepare(self) -> None:
        texts = {line["text"] for truth in self.data.train.targets for line in truth["lines"]}
        characters = "".join(sorted({*beginnings.alphabet(), *"".join(texts)}))
        self.codec = InvoiceCodec(alphabet=characters, **self.card.input)
        self.arguments = {"num_classes": len(characters) + 1}  # one for the blank
        self.tiles = invoice_parts.tiles(self.codec, self.data.train, np.random.default_rng(self.recipe.seed))

    def encode(self, split: Split) -> Examples:
        return invoice_parts.lines(self.codec, split, np.random.default_rng(self.recipe.seed))

    def new_metric(self) -> Metric:
        return PathErrorRate(self.codec.line)

    def loss(self, outputs: Tensor, targets: Sequence[str]) -> Tensor:
        return text_losses.ctc(outputs, targets, self.codec.line)

    def train_dataloader(self) -> Any:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batches = Batches(self.tiles, 1, self.recipe.seed, rank, world)
        return {"lines": super().train_dataloader(), "tiles": loader(self.tiles, batches, pinned=self.on_gpu)}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        del dataloader_idx
        if not isinstance(batch, dict):  # lines alone, to validate
            return self._normalized(batch, self.codec.line.normalize)
        ways = {"lines": self.codec.line.normalize, "tiles": self.codec.page.normalize}
        return {part: self._normalized(pair, ways[part]) for part, pair in batch.items()}

    def _normalized(self, batch: tuple[Tensor, Any], way: Callable[[Tensor], Tensor]) -> tuple[Tensor, Any]:
        return way(batch[0]).contiguous(memory_format=self.MEMORY_FORMAT), batch[1]

    def training_step(self, batch: Any, _: int) -> Tensor:
        (lines, texts), (tiles, proposals) = batch["lines"], batch["tiles"]
        reading = self.loss(self.network.reader(lines).float(), texts)
        finding = text_losses.proposals(self.network.detector(tiles).float(), proposals)
        loss = reading + finding
        self.log_dict({"loss/train": loss, "loss/reading": reading, "loss/finding": finding})
        return loss

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """Of lines that are cut out as they should be."""
        lines, texts = batch
        outputs = self.network.reader(lines).float()
        self.metric.update(outputs, texts)
        self.log("loss/validation", self.loss(outputs, texts), batch_size=len(texts), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        for file, truth in zip(data.test.inputs, data.test.targets, strict=True):
            yield Request(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", truth)

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The share of fields that are exact; of the lines, F1, and the character error rate of those found."""
        return document_scores.score(truths, replies)

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        document_scores.draw(self.data.test.inputs[0], replies[0], plots / "page.png")
        return {}, document_scores.details(truths, replies)
