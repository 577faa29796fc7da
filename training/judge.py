"""Who says what a generated image shows? A classifier that learned from the real ones."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

import models
from training.data.dataset import Dataset
from training.tasks.image_classification import ImageClassification

JUDGE = "lenet"  # good enough for digits: 98 %


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in the same order wherever it runs, or each process would have a judge of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Judge:
    """A network of ours, trained for this and thrown away: half a minute for 4,000 digits."""

    def __init__(self, data: Dataset, name: str = JUDGE) -> None:
        card = models.find(name)
        task = ImageClassification(card, card.recipe, data)
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        quiet: dict[str, Any] = dict.fromkeys(silent, False)
        trainer = Trainer(max_epochs=card.recipe.epochs, use_distributed_sampler=False, accelerator="cpu", **quiet)
        with one_thread():
            trainer.fit(task)
        self.network, self.codec = task.network.eval(), task.codec
        self.labels = task.data.labels

    @torch.inference_mode()
    def probabilities(self, files: Sequence[bytes]) -> Tensor:
        """The bytes of image files -> (N, classes)."""
        pixels = torch.stack([self.codec.pixels(file) for file in files])
        return self.network(self.codec.normalize(pixels)).softmax(dim=1)


_judges: dict[int, tuple[Dataset, Judge]] = {}


def judge(data: Dataset) -> Judge:
    """The judge for a data set of images with classes; trained once."""
    if id(data) not in _judges:
        _judges[id(data)] = (data, Judge(data))  # the data is kept, so that its id is not given away
    return _judges[id(data)][1]
