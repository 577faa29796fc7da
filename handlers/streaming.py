"""Handlers whose responses come in steps, such as an image that improves or a text that grows.

TorchServe's continuous batching (model-config.yaml) passes the same requests again and again, for as long as their
responses mark that there is more to come. New ones join at any step, and one whose client has disconnected is left
out: that is how a worker learns of it. So long jobs advance side by side, a step each, and none blocks the others.

Without it (in offline evaluation, for example) all steps are taken at once, and there is one response.
"""

import logging
import os
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from handlers.base import NOT_FINITE, Input, TaskHandler, finite_outputs, set_response_head
from handlers.codecs.decoding_budget import decoding_budget
from handlers.errors import BadRequest
from handlers.isolation import each_or_error, error_response
from handlers.request import Request
from handlers.response import Response
from handlers.runtime.json_codec import dumps

JSON, LINES = "application/json", "application/x-ndjson"
CLIENT_GONE = Response(b"", status=499)  # counts a client that did not wait; nginx's code
GRPC_STREAMS = "MARINA_GRPC_STREAMS"  # set for workers of a TorchServe that streams over gRPC

logger = logging.getLogger(__name__)


class Job(Protocol):
    """The state of a request between two steps."""

    @property
    def done(self) -> bool:
        """True after the last step."""

    @property
    def output(self) -> Any:
        """The input of `encode`, once the job is done."""


JobType = TypeVar("JobType", bound=Job)


@dataclass
class RunningRequest(Generic[Input, JobType]):
    """A request whose job was begun. `stream`: it is answered in lines; `since`: when it was begun, in seconds."""

    request_id: str
    trace_id: str
    decoded: Input
    job: JobType
    stream: bool
    steps: int = 0
    since: float = field(default_factory=time.perf_counter)


class ResponsePart(NamedTuple):
    """The part of a response that is sent after this step; `last` is None for a response in one piece."""

    response: Response
    last: bool | None


class StreamingHandler(TaskHandler[Input], Generic[Input, JobType]):
    """A subclass has `begin` and `step` instead of `collate` and `forward`; the rest is as in every handler.

    With the option `stream` a response is lines of JSON: what each `step` returns, and at last what would have been the
    whole response. Its status is sent with the first step; an error after that is the last line. `begin` and `step`
    switch gradients off by themselves if they need none.
    """

    steps_together: ClassVar[bool] = True  # one step of several jobs costs less than one of each

    @abstractmethod
    def begin(self, decoded: Input) -> JobType:
        """Return the job of a request, before its first step."""

    @abstractmethod
    def step(self, jobs: Sequence[JobType]) -> Sequence[Mapping[str, Any] | None]:
        """Take each job one step further, whichever step it is at; return a JSON-ready line for each, which a client
        that streams receives, or None.

        If a step of several jobs raises, it is tried again with each of them: it must have left them as they were.
        """

    @abstractmethod
    def first_input(self, decoded: Input) -> Tensor:
        """Return the network's first input, (1, ...); the network is exported with it."""

    def content_type(self, decoded: Input) -> str:
        """Return the content type of the response, which is sent before its content is known."""
        del decoded
        return JSON

    def load(self, folder: Path, device: torch.device) -> None:
        """Load the model; no request is running yet."""
        self._running: dict[str, RunningRequest[Input, JobType]] = {}  # by TorchServe's id
        super().load(folder, device)

    def warm_up_sizes(self) -> Sequence[int]:
        """Return the batch sizes of the warm-up: one job takes all its steps."""
        return (1,)

    def collate(self, inputs: list[Input]) -> Any:
        """Return the inputs as they are: jobs are of different sizes."""
        return inputs

    def forward(self, batch: Any) -> Sequence[Any]:
        """Take all steps of the inputs at once; return the jobs' outputs."""
        with torch.inference_mode(mode=False):
            jobs = [self.begin(decoded) for decoded in batch]
            while unfinished := [job for job in jobs if not job.done]:
                self.step(unfinished)
        return [job.output for job in jobs]

    def handle(self, data: list[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Return the bodies to send after this step, in order: TorchServe's call for each step."""
        if not (context.model_yaml_config or {}).get("continuousBatching"):
            return super().handle(data, context)
        requests = [Request.from_batch(fields, context, i) for i, fields in enumerate(data)]
        try:
            return self._advance(requests, context)
        except Exception:  # it ends the worker
            self._running.clear()
            logger.exception("failed requests: %s", ", ".join(request.trace_id for request in requests))
            raise

    def _advance(self, requests: Sequence[Request], context: Any) -> list[bytes]:
        self._drop_all_but({request.request_id for request in requests})
        with self.metrics.seconds("decode"), decoding_budget():
            ended = {i: response for i, one in enumerate(requests) if (response := self._start(one)) is not None}
        running = {i: self._running[request.request_id] for i, request in enumerate(requests) if i not in ended}
        with self.metrics.seconds("forward"):
            lines = self._step([each.job for each in running.values()]) if running else []
        with self.metrics.seconds("encode"):
            parts = {i: self._part(each, line) for (i, each), line in zip(running.items(), lines, strict=True)}
        parts |= {i: ResponsePart(response, None) for i, response in ended.items()}
        self.metrics.count(response for response, last in parts.values() if last is not False)
        context.stopping_criteria = {}
        for i, (response, last) in parts.items():
            set_response_head(response, context, i)
            if over_grpc(requests[i]):
                if last is False and not running[i].stream:
                    del context.request_ids[i]  # a request that is not in the message stays in the batch
                last = last is not False or not running[i].stream
            context.stopping_criteria[i] = lambda _, last=last: last
        return [parts[i].response.body for i in range(len(requests))]

    def _step(self, jobs: Sequence[JobType]) -> list[Any]:
        """Return the line of each job after a step, or the exception of one that failed."""
        groups = [jobs] if self.steps_together else [[job] for job in jobs]
        return [line for group in groups for line in each_or_error(self.step, group)]

    def _drop_all_but(self, present: set[str]) -> None:
        """Drop the requests that TorchServe left out, because their clients have disconnected."""
        for request_id in self._running.keys() - present:
            gone = self._running.pop(request_id)
            logger.info("the client of %s disconnected after %d steps", gone.trace_id, gone.steps)
            self.metrics.count([CLIENT_GONE])

    def _start(self, request: Request) -> Response | None:
        """Begin the job of a new request and return None, or return the response that ends it: a refusal, or an
        explanation. None for a request that is running already.
        """
        if request.request_id in self._running:
            return None
        try:
            decoded, stream = self.decode(request), streams(request)
            if stream and self.content_type(decoded) != JSON:
                kind = self.content_type(decoded)
                raise BadRequest("stream", f"lines of JSON are no {kind}: ask for one of the two")
            if request.wants_explanation:
                return self._explain_response(decoded, request)
            job = self.begin(decoded)
        except Exception as exc:
            return error_response(exc, request.trace_id)
        self._running[request.request_id] = RunningRequest(request.request_id, request.trace_id, decoded, job, stream)
        return None

    def _part(self, each: RunningRequest[Input, JobType], line: Mapping[str, Any] | Exception | None) -> ResponsePart:
        """Return what is sent after a step whose line this is, or the error that ends the request."""
        each.steps += 1
        try:
            if isinstance(line, Exception):
                raise line
            lines = dumps(line) + b"\n" if each.stream and line is not None else b""
        except Exception as exc:
            del self._running[each.request_id]
            return self._last_part(each, b"", error_response(exc, each.trace_id))
        if not each.job.done:
            return ResponsePart(Response(lines, LINES if each.stream else self.content_type(each.decoded)), last=False)
        del self._running[each.request_id]
        self.metrics.add("request", time.perf_counter() - each.since)
        output = each.job.output
        finite = all(finite_outputs([output]))
        response = self._encode_response(output, each.decoded, each.trace_id) if finite else NOT_FINITE
        return self._last_part(each, lines, response)

    @staticmethod
    def _last_part(each: RunningRequest[Input, JobType], lines: bytes, response: Response) -> ResponsePart:
        if each.stream:
            response = replace(response, body=lines + response.body + b"\n", content_type=LINES)
        return ResponsePart(response, last=True if each.steps > 1 else None)


def over_grpc(request: Request) -> bool:
    """Return whether a request came over gRPC: its last part must be marked, or StreamPredictions kills the worker."""
    return "host" not in request.headers


def streams(request: Request) -> bool:
    """Return whether the response comes in parts.

    An unmodified TorchServe drops a request over gRPC after its first part (GRPCJob.isOpen returns whether it was
    cancelled), so that nothing may be sent before the end; marina/serving/torchserve/patches.py corrects
    that. Raises BadRequest if `stream` is neither true nor false.
    """
    return request.flag("stream") and (not over_grpc(request) or GRPC_STREAMS in os.environ)
