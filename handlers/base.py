"""What every handler does: loads the model, takes a batch apart, and gives each row the answer that is its own."""

import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor

from handlers import runtimes
from handlers.errors import BadRequest
from handlers.meter import Meter
from handlers.replies import MAX_BYTES, PHRASES, Answer, gist
from handlers.row import Row

Item = TypeVar("Item")
Reply = Mapping[str, Any] | Answer

logger = logging.getLogger(__name__)
NOT_FINITE = Answer.failure("the network's output is not finite")


class TaskHandler(ABC, Generic[Item]):
    """A task's handler says how to decode, collate, forward, encode and explain; TorchServe calls the rest.

    A subclass finds here: `card` (card.json), `folder` (the unpacked archive), `device`, `network` (as it was trained,
    for explanations) and `run` (the same as fast as it gets, for answers).
    """

    # For the OpenAPI page: media types of the request, and JSON schemas of the two kinds of reply.
    REQUEST: ClassVar[Mapping[str, Any]]
    REPLY: ClassVar[Mapping[str, Any]]
    EXPLANATION: ClassVar[Mapping[str, Any] | None] = None
    NOT_EXPLAINED: ClassVar[str]  # where EXPLANATION is None: why there is none

    @classmethod
    def api(cls) -> dict[str, Any]:
        """What the archive's card says of requests and replies."""
        return {"request": cls.REQUEST, "reply": cls.REPLY, "explanation": cls.EXPLANATION}

    def setup(self) -> None:
        """Load what the task needs besides the network: a codec, label names."""

    @abstractmethod
    def decode(self, row: Row) -> Item:
        """One request; raises BadRequest(field, why)."""

    def collate(self, items: list[Item]) -> Tensor:
        """Items -> the network's input, batch first."""
        return torch.stack(items)  # type: ignore[arg-type]

    def forward(self, batch: Tensor) -> Sequence[Any]:
        """The network's outputs, a row an item."""
        outputs: Sequence[Any] = self.run(batch)  # type: ignore[assignment]  # a tensor is one, by rows
        return outputs

    @abstractmethod
    def encode(self, output: Any, item: Item) -> Reply:
        """One reply, without the model's name and version: they are added to every JSON reply."""

    def explain(self, item: Item, target: str | None) -> Reply:
        """Why: one reply. `target` is what the caller asks about, None for what was predicted."""
        del item, target
        raise BadRequest("explain", self.NOT_EXPLAINED)

    def initialize(self, context: Any) -> None:
        """TorchServe's first call."""
        properties = context.system_properties
        gpu = properties.get("gpu_id")
        device = torch.device("cpu" if gpu is None or not torch.cuda.is_available() else f"cuda:{gpu}")
        self.load(Path(properties["model_dir"]), device)
        self.meter = Meter(context.metrics, self.card["name"], self.card["version"])

    def load(self, folder: Path, device: torch.device) -> None:
        """Load the model from `folder`: an unpacked archive, or what training left."""
        self.folder, self.device = folder, device
        self.card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        torch.set_num_threads(self.card["serving"]["threads"])
        network = import_module(f"models.{self.card['name']}").CARD.network(**self.card["network"])
        network.load_state_dict(load_file(folder / "model.safetensors"))
        self.network = network.to(device).eval().requires_grad_(False)
        self.run = runtimes.load(self.network, device, self.card, folder)
        self.setup()
        self.warm_up()

    def warm_up(self) -> None:
        """The card's example in batches of every size, so that no caller pays for what the first of its kind costs."""
        example = self.card["example"]
        file = self.folder / example["file"]
        if not file.is_file():
            return
        row = Row({"body": file.read_bytes()}, {"content-type": example["content_type"]}, "warm-up")
        item = self.decode(row)
        with torch.inference_mode():
            for size in self.warm_up_sizes():
                self.forward(self.collate([item] * size))

    def warm_up_sizes(self) -> Sequence[int]:
        """Of the batches to begin with."""
        return range(1, self.card["serving"]["batch_size"] + 1)

    def handle(self, data: list[Mapping[str, Any]], context: Any) -> list[bytes]:
        """TorchServe's call for each batch: one reply a row, in order. A bug fails the batch, and is logged."""
        rows = [Row.of(fields, context, i) for i, fields in enumerate(data)]
        try:
            with self.meter.seconds("request"):
                answers = self.answer(rows)
        except Exception:
            logger.exception("failed requests: %s", ", ".join(row.trace_id for row in rows))
            raise
        self.meter.count(answers)
        for i, answer in enumerate(answers):
            head(answer, context, i)
        return [answer.body for answer in answers]

    def answer(self, rows: Sequence[Row]) -> list[Answer]:
        """Bad rows are refused one by one; the good ones share one forward pass, explanations come after it."""
        answers: dict[int, Answer] = {}
        items: dict[int, Item] = {}
        with self.meter.seconds("decode"):
            for i, row in enumerate(rows):
                try:
                    items[i] = self.decode(row)
                except BadRequest as fault:
                    answers[i] = Answer.refusal(fault)
        predicted = [i for i in items if not rows[i].wants_explanation]
        if predicted:
            with self.meter.seconds("forward"), torch.inference_mode():
                outputs = self.forward(self.collate([items[i] for i in predicted]))
            with self.meter.seconds("encode"):
                sound = finite(outputs)
                for i, output, fine in zip(predicted, outputs, sound, strict=True):
                    answers[i] = self._encoded(output, items[i]) if fine else NOT_FINITE
        for i in items.keys() - set(predicted):
            answers[i] = self._explained(items[i], rows[i])
        return [answers[i] for i in range(len(rows))]

    def _encoded(self, output: Any, item: Item) -> Answer:
        reply = self.encode(output, item)
        return self._signed(reply, None if isinstance(reply, Answer) else gist(reply))

    def _explained(self, item: Item, row: Row) -> Answer:
        try:
            return self._signed(self.explain(item, row.option("target")))
        except BadRequest as fault:
            return Answer.refusal(fault)

    def _signed(self, reply: Reply, gist: str | None = None) -> Answer:
        """The reply with the model's name and version in front."""
        if not isinstance(reply, Answer):
            reply = {"model": self.card["name"], "version": self.card["version"], **reply}
        try:
            answer = Answer.of(reply, gist)
        except ValueError:  # JSON has no NaN; the rest of the batch must not pay for this row
            logger.exception("the reply of %s can't be sent: %r", self.card["name"], reply)
            return Answer.failure("the reply holds a number that is not finite")
        if len(answer.body) > MAX_BYTES:
            return Answer.failure(f"the reply of {len(answer.body)} bytes is over the limit of {MAX_BYTES}")
        return answer


def head(answer: Answer, context: Any, index: int) -> None:
    """Tell TorchServe the status and the headers of row number `index`."""
    context.set_response_status(answer.status, PHRASES[answer.status], index)
    context.set_response_content_type(index, answer.content_type)
    if answer.gist is not None:
        context.set_response_header(index, "x-prediction", answer.gist)


def finite(outputs: Sequence[Any]) -> list[bool]:
    """Whether each row's output is finite: rows of a tensor, tensors, numbers; the rest is the handler's own."""
    if not isinstance(outputs, Tensor):
        return [_is_finite(output) for output in outputs]
    if math.isfinite(outputs.sum()):  # nothing that is not finite vanishes in a sum
        return [True] * len(outputs)
    fine: list[bool] = outputs.isfinite().reshape(len(outputs), -1).all(dim=1).tolist()
    return fine


def _is_finite(output: Any) -> bool:
    if isinstance(output, Tensor):
        return bool(output.isfinite().all())
    return not isinstance(output, float) or math.isfinite(output)
