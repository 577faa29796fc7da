"""Face verification: faces -> embeddings that distinguish people."""

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
from marina.training.data.augmentation import Augmentation
from marina.training.data.batches import DistributedBatchSampler, Examples, data_loader
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task
from marina.training.tasks.face_verification import verification_metrics
from marina.training.tasks.face_verification.face_augmentation import synthetic_people
from marina.training.tasks.face_verification.triplets import PersonBatchSampler, semi_hard_triplet_loss, whitening
from models.card import Card, Recipe

MARGIN = 0.2  # of squared distances, as in FaceNet
AT_ONCE = 64  # pictures in memory with all their maps
VALIDATION_IMAGES = 128  # pictures whose triplets make up the loss in validation


class FaceVerification(Task):
    """Outputs are embeddings (N, D), targets the people's numbers (N,).

    The splits have no person in common: the test is on people whom the network has never seen. The threshold is that of
    equal error rate on the validation split.
    """

    METRIC = "equal_error_rate"
    MEMORY_FORMAT = torch.channels_last
    codec: FaceCodec

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.initialize_embedding()

    def initialize_embedding(self) -> None:
        """Set the embedding layer to the linear layer that makes the images of each person as similar as possible in
        one step, from which training with triplets starts.
        """
        network: Any = self.network.eval()
        faces, people = self.train_examples[list(range(len(self.train_examples)))]
        with torch.inference_mode():
            x = self.codec.normalize(faces)
            features = torch.cat([network.described(few) for few in torch.split(torch.cat([x, x.flip(-1)]), AT_ONCE)])
            weight, bias = whitening(features, people.repeat(2))
        network.embedding.load_state_dict({"weight": weight, "bias": bias})
        network.train()

    def prepare(self) -> None:
        if self.recipe.patience is not None:
            raise ValueError("the threshold goes with the last weights: a recipe for faces can't have patience")
        self.codec = FaceCodec(**self.card.input)
        self.augment = Augmentation(self.recipe.augment, self.codec.size)

    def encode(self, split: Split) -> Examples:
        names = sorted(set(split.targets))
        pixels = torch.stack([self.codec.pixels(file) for file in split.inputs])
        return Examples(pixels, torch.tensor([names.index(name) for name in split.targets]))

    def on_after_batch_transfer(self, batch: tuple[Tensor, Any], dataloader_idx: int) -> tuple[Tensor, Any]:
        pixels, people = batch
        pixels = synthetic_people(pixels, people) if self.training else pixels
        return super().on_after_batch_transfer((pixels, people), dataloader_idx)

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(self.augment(batch) if self.training else batch)

    def new_metric(self) -> Metric:
        return BinaryEER()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return semi_hard_triplet_loss(outputs, targets, MARGIN)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        people, rank, world = self.train_examples.targets, self.trainer.global_rank, self.trainer.world_size
        assert isinstance(people, Tensor)
        batches = PersonBatchSampler(people.tolist(), self.recipe.batch_size, self.recipe.seed, rank, world)
        return data_loader(self.train_examples, batches, pinned=self.on_gpu)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Any]]:
        """Return all images in one batch: the metric compares each with every other."""
        return data_loader(
            self.validation_examples,
            DistributedBatchSampler(self.validation_examples, len(self.validation_examples), None),
        )

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        inputs, people = batch
        outputs = self.network(inputs).float()
        one, other = torch.triu_indices(len(people), len(people), offset=1)
        similarities = (outputs[one] * outputs[other]).sum(dim=1)
        self.metric.update((similarities + 1) / 2, people[one] == people[other])  # it takes numbers from 0 to 1
        few = next(
            iter(PersonBatchSampler(people.tolist(), VALIDATION_IMAGES, seed=0))
        )  # of all, triplets would be too many
        self.log("loss/validation", self.loss(outputs[few], people[few]), batch_size=len(few), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    def on_fit_end(self) -> None:
        pixels, numbers = self.validation_examples[list(range(len(self.validation_examples)))]
        self.network.eval()
        with torch.inference_mode():
            embeddings = self.network(self.codec.normalize(pixels.to(self.device))).double().cpu().numpy()
        similarities, people = embeddings @ embeddings.T, numbers.tolist()
        threshold, for_gallery = (
            round(verification_metrics.equal_error_rate(*which(similarities, people))[1], 4)
            for which in (verification_metrics.pairs, verification_metrics.against_gallery)
        )
        self.codec = replace(self.codec, threshold=threshold, gallery_threshold=for_gallery)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield each image once as `a`, alternately with another of the same person and with one of another person."""
        files, people = data.test.inputs, data.test.targets
        for place, (file, person) in enumerate(zip(files, people, strict=True)):
            later = [(place + step) % len(people) for step in range(1, len(people))]
            other = next((i for i in later if (people[i] == person) == (place % 2 == 0)), later[0])
            body = {"a": base64_text(file), "b": base64_text(files[other]), "embeddings": True}
            yield EvaluationRequest(json.dumps(body).encode(), "application/json", [person, people[other]])

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the metrics of JSON responses.

        `nearest_neighbour` and `equal_error_rate` are over all pairs of the images `a`, by their embeddings;
        `gallery_equal_error_rate` is over each of them and each person, whose other images are enrolled; `accuracy` is
        over the pairs in the requests, at the threshold.
        """
        right = [response["same"] == (a == b) for (a, b), response in zip(truths, responses, strict=True)]
        return {"accuracy": float(np.mean(right))} | verification_metrics.verification_rates(
            *similarity_matrix(truths, responses)
        )

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the error rates at the thresholds, and the pixels themselves as the baseline, at the network's own
        resolution: the smaller the distance, the more similar.
        """
        similarities, people = similarity_matrix(truths, responses)
        pixels = torch.stack([self.codec.pixels(file) for file in self.data.test.inputs]).flatten(1).double()
        plain = -torch.cdist(pixels, pixels).numpy()
        curves = {
            f"{what}, {kind}": select(matrix, people)
            for what, matrix in (("embeddings", similarities), ("pixels", plain))
            for kind, select in (
                ("pairs", verification_metrics.pairs),
                ("gallery", verification_metrics.against_gallery),
            )
        }
        verification_metrics.draw(curves, plots / "roc.png")
        rates = verification_metrics.rates(*curves["embeddings, pairs"], self.codec.threshold)
        in_gallery = verification_metrics.rates(*curves["embeddings, gallery"], self.codec.gallery_threshold)
        shown = {
            "threshold": self.codec.threshold,
            "gallery_threshold": self.codec.gallery_threshold,
            "baselines": {"pixels": verification_metrics.verification_rates(plain, people)},
        }
        return rates | {f"gallery_{name}": rate for name, rate in in_gallery.items()}, shown


def base64_text(file: bytes) -> str:
    """Return the file in base64."""
    return base64.b64encode(file).decode()


def similarity_matrix(
    truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]
) -> tuple[verification_metrics.Floats, list[str]]:
    """Return the inner products of the embeddings of the images `a`, (N, N), and the people on them."""
    embeddings = np.array([response["embeddings"]["a"] for response in responses])
    return embeddings @ embeddings.T, [person for person, _ in truths]
