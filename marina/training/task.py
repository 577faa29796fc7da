"""Base class of all tasks: a Lightning module around a network, its codec, its loss and its evaluation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric

from marina.training import optimizers, pretrained
from marina.training.data.batches import DistributedBatchSampler, Examples, data_loader
from marina.training.data.dataset import Dataset, Split
from models.card import Card, Recipe

MONITORED = "loss/validation"  # by early stopping, and by the schedule "plateau"


@dataclass(frozen=True)
class EvaluationRequest:
    """One request of the test split, and its `truth`: the right label, or the right number."""

    body: bytes
    content_type: str
    truth: Any


class Task(LightningModule, ABC):
    """One task: fits its codec, defines loss and validation metric, makes the requests of the test split, and scores
    the responses.

    `prepare` sets `codec` and `arguments`, the arguments of the network that depend on the data.
    """

    QUICK: ClassVar[Mapping[str, int]] = {}  # examples a split with PRESET=quick, where the default takes too long
    METRIC: str  # name of `metric` in the logs
    MEMORY_FORMAT = torch.contiguous_format  # of inputs and weights

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__()
        self.card = card
        self.recipe = recipe
        self.data = data
        self.codec: Any = None
        self.arguments: dict[str, Any] = {}
        self.prepare()
        torch.manual_seed(recipe.seed)
        self.network = card.network(**self.arguments).to(memory_format=self.MEMORY_FORMAT)
        if recipe.pretrained is not None:
            pretrained.load(self.network, recipe.pretrained)
        self.train_examples = self.encode(data.train)
        self.validation_examples = self.encode(data.validation)
        self.metric = self.new_metric()

    @abstractmethod
    def prepare(self) -> None:
        """Fit the codec to the training split, and set the network's arguments."""

    @abstractmethod
    def encode(self, split: Split) -> Examples:
        """Return the split in memory, encoded by the codec."""

    @abstractmethod
    def new_metric(self) -> Metric:
        """Return the metric of validation, which is updated with outputs and targets."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Return the mean loss over the batch, a scalar."""

    def inputs(self, batch: Tensor) -> Tensor:
        """Return the network's input: on the device, augment a batch in training, and normalize it."""
        return batch

    @classmethod
    @abstractmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield the test split as a client would send it."""

    @staticmethod
    @abstractmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the metrics of JSON responses, under their names in card.json."""

    @abstractmethod
    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return more metrics, and more members of card.json; write pictures into the folder `plots`."""

    @property
    def options(self) -> dict[str, str]:
        """Query parameters of each request, as `report` needs them."""
        return {}

    def on_train_epoch_start(self) -> None:
        # Dropout and augmentation depend on seed, epoch and rank alone: a resumed run equals an uninterrupted one.
        torch.manual_seed((self.recipe.seed * 10_000 + self.current_epoch) * 1_000 + self.global_rank)
        optimizers.freeze_backbone(self.network, self.recipe, self.current_epoch)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Any], dataloader_idx: int) -> tuple[Tensor, Any]:
        del dataloader_idx
        return self.inputs(batch[0]).contiguous(memory_format=self.MEMORY_FORMAT), batch[1]

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> Tensor:
        inputs, targets = batch
        loss = self.loss(self.network(inputs).float(), targets)
        self.log("loss/train", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        inputs, targets = batch
        outputs = self.network(inputs).float()
        self.metric.update(outputs, targets)
        self.log("loss/validation", self.loss(outputs, targets), batch_size=len(targets), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        groups = optimizers.parameter_groups(self.network, self.recipe)
        optimizer, schedule = optimizers.build(groups, self.recipe, steps)
        return optimizers.for_lightning(optimizer, schedule, MONITORED)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        return self._loader(self.train_examples, self.recipe.seed)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        return self._loader(self.validation_examples, None)

    def _loader(self, examples: Examples, seed: int | None) -> DataLoader[tuple[Tensor, Any]]:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return data_loader(
            examples, DistributedBatchSampler(examples, self.recipe.batch_size, seed, rank, world), pinned=self.on_gpu
        )
