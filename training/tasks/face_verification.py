"""Faces -> embeddings that tell people apart."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric
from torchmetrics.classification import BinaryEER

from handlers.codecs.face import FaceCodec
from models.card import Card, Recipe
from training import verification
from training.augment import Augment
from training.batches import Batches, Examples, loader
from training.data.dataset import Dataset, Split
from training.faces import made_up
from training.requests import Request
from training.task import Task
from training.triplets import PeopleBatches, semi_hard
from training.whitening import whitening

MARGIN = 0.2  # of squared distances, as in FaceNet
AT_ONCE = 64  # pictures in memory with all their maps
VALIDATED = 128  # pictures whose triplets make up the loss in validation


class FaceVerification(Task):
    """Outputs are embeddings (N, D), targets the people's numbers (N,). Nobody is in two splits: the test is on people
    that the network has never seen. The threshold is the one of equal error rate on those for validation."""

    METRIC = "equal_error_rate"
    MEMORY_FORMAT = torch.channels_last
    codec: FaceCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.whiten()

    def whiten(self) -> None:
        """Where the triplets begin: the linear layer that makes each one's own pictures as alike as it can, at once."""
        network: Any = self.network.eval()
        faces, people = self.train_examples[list(range(len(self.train_examples)))]
        with torch.inference_mode():
            x = self.codec.normalize(faces)
            seen = torch.cat([network.described(few) for few in torch.split(torch.cat([x, x.flip(-1)]), AT_ONCE)])
            weight, bias = whitening(seen, people.repeat(2))
        network.embedding.load_state_dict({"weight": weight, "bias": bias})
        network.train()

    def prepare(self) -> None:
        if self.recipe.patience is not None:
            raise ValueError("the threshold goes with the last weights: a recipe for faces can't have patience")
        self.codec = FaceCodec(**self.card.input)
        self.augment = Augment(self.recipe.augment, self.codec.size)

    def encode(self, split: Split) -> Examples:
        names = sorted(set(split.targets))
        pixels = torch.stack([self.codec.pixels(file) for file in split.inputs])
        return Examples(pixels, torch.tensor([names.index(name) for name in split.targets]))

    def on_after_batch_transfer(self, batch: tuple[Tensor, Any], dataloader_idx: int) -> tuple[Tensor, Any]:
        pixels, people = batch
        pixels = made_up(pixels, people) if self.training else pixels
        return super().on_after_batch_transfer((pixels, people), dataloader_idx)

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(self.augment(batch) if self.training else batch)

    def new_metric(self) -> Metric:
        return BinaryEER()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return semi_hard(outputs, targets, MARGIN)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        people, rank, world = self.train_examples.targets, self.trainer.global_rank, self.trainer.world_size
        assert isinstance(people, Tensor)
        batches = PeopleBatches(people.tolist(), self.recipe.batch_size, self.recipe.seed, rank, world)
        return loader(self.train_examples, batches, pinned=self.on_gpu)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        """All in one batch: what counts is how each is like every other."""
        return loader(self.validation_examples, Batches(self.validation_examples, len(self.validation_examples), None))

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        inputs, people = batch
        outputs = self.network(inputs).float()
        one, other = torch.triu_indices(len(people), len(people), offset=1)
        similarities = (outputs[one] * outputs[other]).sum(dim=1)
        self.metric.update((similarities + 1) / 2, people[one] == people[other])  # it takes numbers from 0 to 1
        few = next(iter(PeopleBatches(people.tolist(), VALIDATED, seed=0)))  # of all, triplets would be too many
        self.log("loss/validation", self.loss(outputs[few], people[few]), batch_size=len(few), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    def on_fit_end(self) -> None:
        pixels, numbers = self.validation_examples[list(range(len(self.validation_examples)))]
        self.network.eval()
        with torch.inference_mode():
            embeddings = self.network(self.codec.normalize(pixels.to(self.device))).double().cpu().numpy()
        similarities, people = embeddings @ embeddings.T, numbers.tolist()
        threshold, for_gallery = (
            round(verification.equal_error_rate(*which(similarities, people))[1], 4)
            for which in (verification.pairs, verification.against_gallery)
        )
        self.codec = replace(self.codec, threshold=threshold, gallery_threshold=for_gallery)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """Each picture once as `a`, in turns with another of the same person and with one of somebody else."""
        files, people = data.test.inputs, data.test.targets
        for place, (file, person) in enumerate(zip(files, people, strict=True)):
            later = [(place + step) % len(people) for step in range(1, len(people))]
            other = next((i for i in later if (people[i] == person) == (place % 2 == 0)), later[0])
            body = {"a": as_text(file), "b": as_text(files[other]), "embeddings": True}
            yield Request(json.dumps(body).encode(), "application/json", [person, people[other]])

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """`nearest_neighbour` and `equal_error_rate` are over all pairs of the pictures `a`, by their embeddings;
        `gallery_equal_error_rate` is over each of them and each person, whose other pictures are enrolled; `accuracy`
        is over the pairs that were asked about, at the threshold."""
        right = [reply["same"] == (a == b) for (a, b), reply in zip(truths, replies, strict=True)]
        return {"accuracy": float(np.mean(right))} | verification.figures(*similarities_of(truths, replies))

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The pixels themselves are the baseline, at the network's own resolution: the nearer, the more similar."""
        similarities, people = similarities_of(truths, replies)
        pixels = torch.stack([self.codec.pixels(file) for file in self.data.test.inputs]).flatten(1).double()
        plain = -torch.cdist(pixels, pixels).numpy()
        curves = {
            f"{what}, {kind}": select(matrix, people)
            for what, matrix in (("embeddings", similarities), ("pixels", plain))
            for kind, select in (("pairs", verification.pairs), ("gallery", verification.against_gallery))
        }
        verification.draw(curves, plots / "roc.png")
        rates = verification.rates(*curves["embeddings, pairs"], self.codec.threshold)
        in_gallery = verification.rates(*curves["embeddings, gallery"], self.codec.gallery_threshold)
        shown = {
            "threshold": self.codec.threshold,
            "gallery_threshold": self.codec.gallery_threshold,
            "baselines": {"pixels": verification.figures(plain, people)},
        }
        return rates | {f"gallery_{name}": rate for name, rate in in_gallery.items()}, shown


def as_text(file: bytes) -> str:
    """Base64."""
    return base64.b64encode(file).decode()


def similarities_of(
    truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]
) -> tuple[verification.Floats, list[str]]:
    """(N, N) inner products of the embeddings of the pictures `a`, and whose they are."""
    embeddings = np.array([reply["embeddings"]["a"] for reply in replies])
    return embeddings @ embeddings.T, [person for person, _ in truths]
