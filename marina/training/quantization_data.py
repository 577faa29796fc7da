"""The data of trained weights, once more: what packing in int8 calibrates with and measures."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marina.errors import PackagingError
from marina.handler_lookup import batch_of
from marina.training import artifacts, changes
from marina.training.data import Dataset, UnknownDataError, find

if TYPE_CHECKING:
    from torch import Tensor

    from marina.training.task import EvaluationRequest

EXAMPLES = 256  # of the training split, for calibration
SEED = 0


@dataclass(frozen=True)
class TrainingData:
    """The data that the card of the weights in `folder` names; they are read when they are first needed."""

    folder: Path

    @cached_property
    def card(self) -> dict[str, Any]:
        """The content of card.json."""
        return artifacts.finished(self.folder) or {}

    @cached_property
    def dataset(self) -> Dataset:
        """The splits that the weights were trained and measured on.

        Raises PackagingError if the card names no data, and if they are not there or have changed.
        """
        title = f'{self.card["name"]} {self.card["version"]}: precision="int8" is calibrated and measured on data'
        if "data" not in self.card:
            raise PackagingError(f"{title}, and it was imported without: import it again with --data (DATA=)")
        name = self.card["data"]["name"]
        try:
            found = find(changes.data_of(self.card), changes.target_of(self.card))
        except UnknownDataError as exc:
            raise PackagingError(f"{title}, and {name} is not on this machine: pack where it was trained") from exc
        if found.sha256 != self.card["data"]["sha256"]:
            raise PackagingError(f"{title}, and the files of {name} have changed since: train again, or restore them")
        return found.load(self.card["task"]).head(self.card["data"]["sizes"])

    def requests(self, data: Dataset) -> "list[EvaluationRequest]":
        """Return the test split of `data` as a client sends it."""
        from marina.training import tasks  # imports Lightning, which takes seconds

        return list(tasks.find(self.card["task"]).requests(data))

    def batches(self, handler: Any) -> "Iterator[Tensor]":
        """Yield examples of the training split, the same on every call, as the handler's network takes them."""
        train = self.dataset.train
        chosen = random.Random(SEED).sample(range(len(train)), min(EXAMPLES, len(train)))  # noqa: S311
        if not chosen:
            raise PackagingError(f'{self.card["name"]}: there is no training split to calibrate precision="int8" with')
        requests = self.requests(replace(self.dataset, test=train.select(chosen)))
        size: int = handler.card["serving"]["batch_size"]
        for start in range(0, len(requests), size):
            yield batch_of(handler, [(one.body, one.content_type) for one in requests[start : start + size]])

    def metrics(self, folder: Path) -> dict[str, float]:
        """Return the metrics of the test split, by the handler of the model in `folder`."""
        from marina.hosting.host import Host
        from marina.training import evaluation, tasks

        requests: Sequence[EvaluationRequest] = self.requests(self.dataset)
        with Host.of_artifacts(folder) as host:
            responses = list(evaluation.json_responses(host, requests, self.card.get("options")))
        score: dict[str, float] = tasks.find(self.card["task"]).score([one.truth for one in requests], responses)
        return score
