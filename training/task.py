"""What is the same in every task: one Lightning module around a network."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric

from models.card import Card, Recipe
from training import finetuning, optimizers, pretrained
from training.batches import Batches, Examples, loader
from training.data.dataset import Dataset, Split
from training.requests import Request


class Task(LightningModule, ABC):
    """A task says how its codec is fitted, what its loss is, how its requests look and how replies are counted.

    `codec` and `arguments` (those of the network that the data decides) are set by `prepare`.
    """

    QUICK: ClassVar[Mapping[str, int]] = {}  # examples of a split with PRESET=quick, where the usual ones are too many
    METRIC: str  # what `metric` is called in the logs
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
        """The split in memory, by the codec."""

    @abstractmethod
    def new_metric(self) -> Metric:
        """What validation reports besides the loss, updated with outputs and targets."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """The mean over the batch, a scalar."""

    def inputs(self, batch: Tensor) -> Tensor:
        """What is left to do on the device: augmentation while training, normalising."""
        return batch

    @classmethod
    @abstractmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """The test split as a client would send it."""

    @staticmethod
    @abstractmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The metrics of the JSON replies, those in the card under the same names."""

    @abstractmethod
    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """More metrics, and more for the card; pictures go into the folder `plots`."""

    @property
    def options(self) -> dict[str, str]:
        """What `report` needs to have asked for in each request."""
        return {}

    def on_train_epoch_start(self) -> None:
        # Dropout and augmentation depend on seed, epoch and rank alone: a resumed run repeats the one not stopped.
        torch.manual_seed((self.recipe.seed * 10_000 + self.current_epoch) * 1_000 + self.global_rank)
        finetuning.freeze(self.network, self.recipe, self.current_epoch)

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
        optimizer, schedule = optimizers.build(finetuning.groups(self.network, self.recipe), self.recipe, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        return self._loader(self.train_examples, self.recipe.seed)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        return self._loader(self.validation_examples, None)

    def _loader(self, examples: Examples, seed: int | None) -> DataLoader[tuple[Tensor, Any]]:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return loader(examples, Batches(examples, self.recipe.batch_size, seed, rank, world), pinned=self.on_gpu)
