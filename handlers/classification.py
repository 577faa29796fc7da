"""Base class of all classifiers: label names, the most probable classes, the class that an explanation is about."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from handlers.base import ResponseLike, TaskHandler
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import NUMBER, STRING, Response, array, schema

Value = TypeVar("Value")
TOP = 5  # classes in a response
MAX_NAMES = 20  # classes that an error message lists
CLASS = schema(label=STRING, probability=NUMBER)


@dataclass(frozen=True)
class TopKInput(Generic[Value]):
    """The decoded `value`, the number of classes to return, and whether the client accepts only a PNG."""

    value: Value
    top: int
    as_png: bool = False

    @classmethod
    def from_request(cls, request: Request, value: Value) -> "TopKInput[Value]":
        """Read the request's options; raises BadRequest if `top` is not a whole number of at least 1."""
        return cls(value, request.integer("top", 1) or TOP, request.accepts("image/png"))


class ClassificationHandler(TaskHandler[TopKInput[Any]]):
    """Outputs are logits, (N, classes); a subclass has `attribute`, which explains one of them."""

    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, predictions=array(CLASS))

    def setup(self) -> None:
        """Load the label names."""
        self.labels = self.label_names()

    @abstractmethod
    def attribute(self, decoded: TopKInput[Any], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        """Return the attribution for class number `target`: members of the JSON response, or the bytes of a PNG.

        batch: (1, ...), the collated input on the network's device.
        """

    def encode(self, output: Tensor, decoded: TopKInput[Any]) -> ResponseLike:
        """Return the most probable classes, best first; output: (classes,)."""
        probabilities, order = output.softmax(dim=0).sort(descending=True, stable=True)
        best = zip(order.tolist()[: decoded.top], probabilities.tolist(), strict=False)
        return {"predictions": [self._named(number, probability) for number, probability in best]}

    def explain(self, decoded: TopKInput[Any], target: str | None) -> ResponseLike:
        """Return the attribution for the class `target`, or for the predicted one.

        Raises BadRequest if there is no such class.
        """
        batch = self.collate([decoded]).to(self.device)
        with torch.inference_mode():
            probabilities = self.network(batch)[0].softmax(dim=0)  # (classes,)
        number = int(probabilities.argmax()) if target is None else self._number_of(target)
        attribution = self.attribute(decoded, batch, number)
        if isinstance(attribution, bytes):
            return Response(attribution, content_type="image/png")
        return {"target": self._named(number, float(probabilities[number])), **attribution}

    def _named(self, number: int, probability: float) -> dict[str, Any]:
        return {"label": self.labels[number], "probability": round(probability, 6)}

    def _number_of(self, target: str) -> int:
        if target not in self.labels:
            names = ", ".join(self.labels[:MAX_NAMES]) + (", ..." if len(self.labels) > MAX_NAMES else "")
            raise BadRequest("target", f"no class {target!r}; there are: {names}")
        return self.labels.index(target)
