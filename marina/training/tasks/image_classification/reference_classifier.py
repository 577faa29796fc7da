"""Classifier that scores generated images; trained on real ones."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

import models
from marina.training.data.dataset import Dataset
from marina.training.tasks.image_classification.task import ImageClassification

CLASSIFIER = "lenet"  # good enough for digits: 98 %


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block on one thread: sums in the same order everywhere, or each process would train another
    classifier.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class ReferenceClassifier:
    """A network of models/, trained for this purpose and not saved: half a minute for 4,000 digits."""

    def __init__(self, data: Dataset, name: str = CLASSIFIER) -> None:
        card = models.find(name)
        assert card.recipe is not None
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
        """Return the probabilities of all classes, (N, classes), for the bytes of N image files."""
        pixels = torch.stack([self.codec.pixels(file) for file in files])
        return self.network(self.codec.normalize(pixels)).softmax(dim=1)


_trained_classifiers: dict[int, tuple[Dataset, ReferenceClassifier]] = {}


def reference_classifier_of(data: Dataset) -> ReferenceClassifier:
    """Return the classifier for a data set of images with classes; trained once for each data set object."""
    if id(data) not in _trained_classifiers:
        _trained_classifiers[id(data)] = (
            data,
            ReferenceClassifier(data),
        )  # keeps the data alive, so that its id is not reused
    return _trained_classifiers[id(data)][1]
