"""The base class of all handlers: loads the model, splits a batch into requests and gives each its own response."""

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

from handlers.codecs.decoding_budget import decoding_budget
from handlers.errors import BadRequest
from handlers.isolation import each_or_error, error_response
from handlers.metrics import HandlerMetrics
from handlers.request import Request
from handlers.response import MAX_BYTES, PHRASES, Response, prediction_summary
from handlers.runtime import backends

Input = TypeVar("Input")
ResponseLike = Mapping[str, Any] | Response

logger = logging.getLogger(__name__)
NOT_FINITE = Response.internal_error("the network's output is not finite")


class TaskHandler(ABC, Generic[Input]):
    """A task's handler defines decode, collate, forward, encode and explain; TorchServe calls the rest.

    A request is decoded to an input, inputs are collated to a batch, the network gives an output for each, and outputs
    are encoded as responses. A subclass has: `card` (card.json), `folder` (the unpacked archive), `device`, `network`
    (as it was trained, for explanations) and `optimized_network` (the same function, faster, for predictions).

    >>> class Doubling(TaskHandler[Tensor]):
    ...     def decode(self, request: Request) -> Tensor:
    ...         number = request.number("x", -100, 100)
    ...         if number is None:
    ...             raise BadRequest("x", "not given")
    ...         return torch.tensor([number])
    ...
    ...     def encode(self, output: Tensor, decoded: Tensor) -> ResponseLike:
    ...         return {"prediction": float(output), "of": float(decoded)}
    """

    # For the OpenAPI page: media types of the request, and JSON schemas of the two kinds of response.
    request_schema: ClassVar[Mapping[str, Any]]
    response_schema: ClassVar[Mapping[str, Any]]
    explanation_schema: ClassVar[Mapping[str, Any] | None] = None
    no_explanation_reason: ClassVar[str]  # returned to clients if explanation_schema is None

    @classmethod
    def api(cls) -> dict[str, Any]:
        """Return the schemas as the archive's card holds them."""
        return {"request": cls.request_schema, "reply": cls.response_schema, "explanation": cls.explanation_schema}

    @classmethod
    def api_of(cls, folder: Path) -> dict[str, Any]:
        """Return the schemas of the model in `folder`; those of a table have its columns."""
        del folder
        return cls.api()

    def setup(self) -> None:
        """Load what the task needs besides the network: a codec, label names."""

    def label_names(self) -> list[str]:
        """Return the names of the classes, in the order of the network's outputs, from labels.json."""
        names: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))
        return names

    @abstractmethod
    def decode(self, request: Request) -> Input:
        """Return the input of one request; raises BadRequest(field, reason)."""

    def collate(self, inputs: list[Input]) -> Tensor:
        """Return the network's batch, one row for each input."""
        return torch.stack(inputs)  # type: ignore[arg-type]

    def forward(self, batch: Tensor) -> Sequence[Any]:
        """Return the network's outputs, one for each row of the batch."""
        outputs: Sequence[Any] = self.optimized_network(batch)  # type: ignore[assignment]  # a tensor is one, by rows
        return outputs

    @abstractmethod
    def encode(self, output: Any, decoded: Input) -> ResponseLike:
        """Return one response, without the model's name and version: every JSON response gets them."""

    def explain(self, decoded: Input, target: str | None) -> ResponseLike:
        """Return one explanation of `target`, such as a class; None stands for the prediction."""
        del decoded, target
        raise BadRequest("explain", self.no_explanation_reason)

    def initialize(self, context: Any) -> None:
        """Load the model: TorchServe's first call."""
        properties = context.system_properties
        gpu = properties.get("gpu_id")
        device = torch.device("cpu" if gpu is None or not torch.cuda.is_available() else f"cuda:{gpu}")
        self.load(Path(properties["model_dir"]), device)
        self.metrics = HandlerMetrics(context.metrics, self.card["name"], self.card["version"])

    def load(self, folder: Path, device: torch.device) -> None:
        """Load the model from `folder`: an unpacked archive, or the artifacts of a training run."""
        self.folder, self.device = folder, device
        self.card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        torch.set_num_threads(self.card["serving"]["threads"])
        network = import_module(f"models.{self.card['name']}").CARD.network(**self.card["network"])
        network.load_state_dict(load_file(folder / "model.safetensors"))
        self.network = network.to(device).eval().requires_grad_(False)
        self.optimized_network = backends.load(self.network, device, self.card, folder)
        self.setup()
        self.warm_up()

    def warm_up(self) -> None:
        """Predict the card's example in batches of every size, so that no client waits for the first of its kind."""
        example = self.card["example"]
        file = self.folder / example["file"]
        if not file.is_file():
            return
        request = Request({"body": file.read_bytes()}, {"content-type": example["content_type"]}, "warm-up")
        decoded = self.decode(request)
        with torch.inference_mode():
            for size in self.warm_up_sizes():
                self.forward(self.collate([decoded] * size))

    def warm_up_sizes(self) -> Sequence[int]:
        """Return the batch sizes of the warm-up."""
        return range(1, self.card["serving"]["batch_size"] + 1)

    def handle(self, data: list[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Return the bodies of the responses to one batch, in order: TorchServe's call for each batch.

        Only an error that ends the worker fails the batch: TorchServe then starts another one.
        """
        requests = [Request.from_batch(fields, context, i) for i, fields in enumerate(data)]
        try:
            with self.metrics.seconds("request"):
                responses = self.respond(requests)
        except Exception:
            logger.exception("failed requests: %s", ", ".join(request.trace_id for request in requests))
            raise
        self.metrics.count(responses)
        for i, response in enumerate(responses):
            set_response_head(response, context, i)
        return [response.body for response in responses]

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """Return the response to each request: bad ones are refused one by one, the good ones share one forward pass,
        and explanations come after it. What a row raises is the response of that row alone.
        """
        responses: dict[int, Response] = {}
        inputs: dict[int, Input] = {}
        with self.metrics.seconds("decode"), decoding_budget():
            for i, request in enumerate(requests):
                try:
                    inputs[i] = self.decode(request)
                except Exception as exc:
                    responses[i] = error_response(exc, request.trace_id)
        predicted = [i for i in inputs if not requests[i].wants_explanation]
        if predicted:
            with self.metrics.seconds("forward"), torch.inference_mode():
                outputs = each_or_error(lambda rows: self.forward(self.collate(rows)), [inputs[i] for i in predicted])
            with self.metrics.seconds("encode"):
                finite = finite_outputs(outputs)
                for i, output, is_finite in zip(predicted, outputs, finite, strict=True):
                    responses[i] = (
                        self._encode_response(output, inputs[i], requests[i].trace_id) if is_finite else NOT_FINITE
                    )
        for i in inputs.keys() - set(predicted):
            responses[i] = self._explain_response(inputs[i], requests[i])
        return [responses[i] for i in range(len(requests))]

    def _encode_response(self, output: Any, decoded: Input, request_id: str) -> Response:
        try:
            if isinstance(output, Exception):
                raise output
            content = self.encode(output, decoded)
            return self._as_response(content, None if isinstance(content, Response) else prediction_summary(content))
        except Exception as exc:
            return error_response(exc, request_id)

    def _explain_response(self, decoded: Input, request: Request) -> Response:
        try:
            return self._as_response(self.explain(decoded, request.option("target")))
        except Exception as exc:
            return error_response(exc, request.trace_id)

    def _as_response(self, content: ResponseLike, summary: str | None = None) -> Response:
        """Return the response, in JSON with the model's name and version first; one that can't be sent is a 500."""
        if not isinstance(content, Response):
            content = {"model": self.card["name"], "version": self.card["version"], **content}
        try:
            response = Response.of(content, summary)
        except UnicodeError:
            raise
        except ValueError:  # JSON has no NaN
            logger.exception("the response of %s can't be sent: %r", self.card["name"], content)
            return Response.internal_error("the response has a number that is not finite")
        if len(response.body) > MAX_BYTES:
            return Response.internal_error(
                f"the response of {len(response.body)} bytes is over the limit of {MAX_BYTES}"
            )
        return response


def set_response_head(response: Response, context: Any, index: int) -> None:
    """Set the status and the headers of the response number `index` in TorchServe's context."""
    context.set_response_status(response.status, PHRASES[response.status], index)
    context.set_response_content_type(index, response.content_type)
    for name, value in response.headers.items():
        context.set_response_header(index, name, value)


def finite_outputs(outputs: Sequence[Any]) -> list[bool]:
    """Return whether each output is finite; checked are rows of a tensor, tensors and floats, everything else is left
    to the handler.
    """
    if not isinstance(outputs, Tensor):
        return [_is_finite(output) for output in outputs]
    if math.isfinite(outputs.sum()):  # nothing that is not finite vanishes in a sum
        return [True] * len(outputs)
    finite: list[bool] = outputs.isfinite().reshape(len(outputs), -1).all(dim=1).tolist()
    return finite


def _is_finite(output: Any) -> bool:
    if isinstance(output, Tensor):
        return bool(output.isfinite().all())
    return not isinstance(output, float) or math.isfinite(output)
