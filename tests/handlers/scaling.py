"""A handler for tests that multiplies a number, and a function that sends requests to it."""

import json
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from ts.context import RequestProcessor

from handlers.base import TaskHandler
from handlers.errors import BadRequest
from handlers.response import Response

EXPLAIN = {"explain": "True"}
SERVING = {"threads": 2, "batch_size": 3, "precision": "fp32", "channels_last": False, "runtime": "eager"}


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.dropout = nn.Dropout(0.5)

    def forward(self, batch: Tensor) -> Tensor:
        return self.dropout(batch * self.factor)


class Scaling(TaskHandler[Tensor]):
    """The option `x` is the input; `target` selects the explanation."""

    request_schema = {"application/json": {}}  # noqa: RUF012
    response_schema = {"type": "object"}  # noqa: RUF012
    no_explanation_reason = "this test handler has no explanations"

    def setup(self) -> None:
        self.requests, self.batches, self.explained = [], [], []

    def decode(self, request) -> Tensor:
        self.requests.append(request)
        number = request.number("x", -100, 100)
        if number is None:
            raise BadRequest("x", "not given")
        return torch.tensor([number])

    def forward(self, batch):
        self.batches.append((len(batch), torch.is_inference_mode_enabled()))
        return super().forward(batch)

    def encode(self, output, decoded):
        return {"prediction": round(float(output), 3), "of": float(decoded)}


class Explaining(Scaling):
    explanation_schema = {"type": "object"}  # noqa: RUF012

    def explain(self, decoded, target):
        self.explained.append((float(decoded), target, torch.is_inference_mode_enabled()))
        if target == "bad":
            raise BadRequest("target", "no such thing")
        if target == "png":
            return Response(b"\x89PNG", content_type="image/png")
        return {"prediction": 0, "why": target}


class HandlerResponse(NamedTuple):
    """The response to one request of a batch; `prediction` is the header x-prediction, None without one."""

    status: tuple[int, str]  # code and reason phrase
    content_type: str
    prediction: str | None
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def post(handler, context, *requests) -> list[HandlerResponse]:
    """Send one batch of requests, (fields, headers), to the handler; return the responses in order."""
    context.request_processor = [RequestProcessor(dict(headers)) for _, headers in requests]
    context.request_ids = {i: f"id-{i}" for i in range(len(requests))}
    bodies = handler.handle([fields for fields, _ in requests], context)
    got = []
    for i, body in enumerate(bodies):
        headers = context.get_response_headers(i)
        status = context.get_response_status(i)
        got.append(HandlerResponse(status, headers.get("content-type"), headers.get("x-prediction"), body))
    return got
