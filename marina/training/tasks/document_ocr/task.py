"""Document OCR: images of invoices -> their lines and their fields."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torchmetrics import Metric

from handlers import codecs
from handlers.codecs.invoice_lines import InvoiceCodec
from handlers.codecs.text_line import TextLineCodec
from marina.training.data.batches import DistributedBatchSampler, Examples, data_loader
from marina.training.data.dataset import Dataset, Split
from marina.training.losses import line_losses
from marina.training.pretrained import trained_artifacts
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.document_ocr import document_metrics, invoice_parts
from marina.training.tasks.text_recognition import PathErrorRate
from models.card import Card, Recipe
from models.invoice import Invoice


class DocumentOcr(Task):
    """The two parts are trained together: in each step the reader on a batch of lines, the detector on a tile of a
    page.

    Both start from the checkpoints of ctpn and crnn; the reader's alphabet is crnn's and the invoices' characters.
    """

    QUICK: ClassVar = {"train": 12, "validation": 4, "test": 6}  # pages, each of some forty lines
    METRIC = "character_error_rate"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: InvoiceCodec
    network: Invoice

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        load_checkpoints(self.network, self.codec.alphabet)

    def prepare(self) -> None:
        texts = {line["text"] for truth in self.data.train.targets for line in truth["lines"]}
        characters = "".join(sorted({*crnn_alphabet(), *"".join(texts)}))
        self.codec = InvoiceCodec(alphabet=characters, **self.card.input)
        self.arguments = {"num_classes": len(characters) + 1}  # one for the blank
        self.tiles = invoice_parts.tiles(self.codec, self.data.train, np.random.default_rng(self.recipe.seed))

    def encode(self, split: Split) -> Examples:
        return invoice_parts.lines(self.codec, split, np.random.default_rng(self.recipe.seed))

    def new_metric(self) -> Metric:
        return PathErrorRate(self.codec.line)

    def loss(self, outputs: Tensor, targets: Sequence[str]) -> Tensor:
        return line_losses.line_ctc_loss(outputs, targets, self.codec.line)

    def train_dataloader(self) -> Any:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batches = DistributedBatchSampler(self.tiles, 1, self.recipe.seed, rank, world)
        return {"lines": super().train_dataloader(), "tiles": data_loader(self.tiles, batches, pinned=self.on_gpu)}

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
        finding = line_losses.proposal_loss(self.network.detector(tiles).float(), proposals)
        loss = reading + finding
        self.log_dict({"loss/train": loss, "loss/reading": reading, "loss/finding": finding})
        return loss

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """Validate the reader on lines that are cut out precisely."""
        lines, texts = batch
        outputs = self.network.reader(lines).float()
        self.metric.update(outputs, texts)
        self.log("loss/validation", self.loss(outputs, texts), batch_size=len(texts), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, truth in zip(data.test.inputs, data.test.targets, strict=True):
            yield EvaluationRequest(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", truth)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the share of fields that are exact; of the lines, F1, and the character error rate of those that were
        found.
        """
        return document_metrics.score(truths, responses)

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        document_metrics.draw(self.data.test.inputs[0], responses[0], plots / "page.png")
        return {}, document_metrics.details(truths, responses)


def crnn_alphabet() -> str:
    """Return the characters that the trained crnn reads."""
    return codecs.load(TextLineCodec, trained_artifacts("crnn")).alphabet


def load_checkpoints(network: Invoice, characters: str) -> None:
    """Load ctpn's weights into the detector and crnn's into the reader, as a warm start; the reader's last layer gets
    the rows of the characters that crnn reads.
    """
    network.detector.load_state_dict(load_file(trained_artifacts("ctpn") / "model.safetensors"))
    weights, known = load_file(trained_artifacts("crnn") / "model.safetensors"), crnn_alphabet()
    own = network.reader.state_dict()
    for key in ("classifier.weight", "classifier.bias"):
        weights[key] = remap_classifier(weights[key], known, own[key], characters)
    network.reader.load_state_dict(weights)


def remap_classifier(learned: Tensor, known: str, own: Tensor, characters: str) -> Tensor:
    """Return the rows `learned` of a classifier over the alphabet `known` in the order of the alphabet `characters`.

    The first row is the blank's. Characters that `known` lacks keep their rows in `own`.
    """
    rows = own.clone()
    rows[0] = learned[0]
    for place, one in enumerate(characters, start=1):
        if one in known:
            rows[place] = learned[known.index(one) + 1]
    return rows
