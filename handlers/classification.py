"""What all classifiers share: label names, the top classes of a reply, the class that an explanation is about."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from handlers.base import Reply, TaskHandler
from handlers.errors import BadRequest
from handlers.replies import NUMBER, STRING, Answer, array, schema
from handlers.row import Row

Input = TypeVar("Input")
TOP = 5
CLASS = schema(label=STRING, probability=NUMBER)


@dataclass(frozen=True)
class Item(Generic[Input]):
    """One decoded request: what to classify, how many classes to name, and whether a bare PNG is wanted."""

    input: Input
    top: int
    as_png: bool = False

    @classmethod
    def of(cls, row: Row, content: Input) -> "Item[Input]":
        """Reads the row's options; raises BadRequest if `top` is not a whole number of at least 1."""
        return cls(content, row.whole("top", 1) or TOP, row.accepts("image/png"))


class ClassificationHandler(TaskHandler[Item[Any]]):
    """Outputs are logits, (N, classes); `attribute` explains one of them."""

    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, predictions=array(CLASS))

    def setup(self) -> None:
        self.labels: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    @abstractmethod
    def attribute(self, item: Item[Any], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        """What speaks for class number `target`: members for the JSON reply, or the bytes of a PNG."""

    def encode(self, output: Tensor, item: Item[Any]) -> Reply:
        probabilities, order = output.softmax(dim=0).sort(descending=True, stable=True)
        best = zip(order.tolist()[: item.top], probabilities.tolist(), strict=False)
        return {"predictions": [self._named(number, probability) for number, probability in best]}

    def explain(self, item: Item[Any], target: str | None) -> Reply:
        batch = self.collate([item]).to(self.device)
        with torch.inference_mode():
            probabilities = self.network(batch)[0].softmax(dim=0)  # (classes,)
        number = int(probabilities.argmax()) if target is None else self._number_of(target)
        attribution = self.attribute(item, batch, number)
        if isinstance(attribution, bytes):
            return Answer(attribution, content_type="image/png")
        return {"target": self._named(number, float(probabilities[number])), **attribution}

    def _named(self, number: int, probability: float) -> dict[str, Any]:
        return {"label": self.labels[number], "probability": round(probability, 6)}

    def _number_of(self, target: str) -> int:
        if target not in self.labels:
            names = ", ".join(self.labels[:20]) + (", ..." if len(self.labels) > 20 else "")
            raise BadRequest("target", f"no class {target!r}; there are: {names}")
        return self.labels.index(target)
