"""Handlers whose answers come in steps, such as a picture that gets better or a text that gets longer.

TorchServe's continuous batching (model-config.yaml) hands over the same requests again and again, for as long as their
replies say that there is more to come. New ones join at any step, and one whose client has gone is left out: that is
how a worker learns of it. So long jobs go on side by side, a step each, and none blocks the others.

Where there is none (offline evaluation, say) all steps are taken at once, and there is one reply.
"""

import logging
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from handlers.base import NOT_FINITE, Item, TaskHandler, finite, head
from handlers.errors import BadRequest
from handlers.jobs import Part, Running, Work, over_grpc, streams
from handlers.jsons import dumps
from handlers.replies import Answer
from handlers.row import Row

JSON, LINES = "application/json", "application/x-ndjson"
GONE = Answer(b"", status=499)  # how a client that did not wait is counted; the code is nginx's

logger = logging.getLogger(__name__)


class StreamingHandler(TaskHandler[Item], Generic[Item, Work]):
    """A subclass has `begin` and `step` in place of `collate` and `forward`; the rest is as in every handler.

    With the option `stream` a reply is lines of JSON: what `step` has to tell, and at last what would have been the
    whole reply. Its status is sent with the first step; a failure after that is the last line. `begin` and `step`
    switch gradients off by themselves if they need none.
    """

    @abstractmethod
    def begin(self, item: Item) -> Work:
        """The job of a request, before its first step."""

    @abstractmethod
    def step(self, jobs: Sequence[Work]) -> Sequence[Mapping[str, Any] | None]:
        """Take each job, wherever it is, one step further; what there is to tell of it, JSON-ready, to a client that
        streams."""

    @abstractmethod
    def first_input(self, item: Item) -> Tensor:
        """(1, ...): what the network is given first; it is exported with it."""

    def content_type(self, item: Item) -> str:
        """Of the reply, which is announced before there is one."""
        del item
        return JSON

    def load(self, folder: Path, device: torch.device) -> None:
        self._running: dict[str, Running[Item, Work]] = {}  # by TorchServe's id
        super().load(folder, device)

    def warm_up_sizes(self) -> Sequence[int]:
        return (1,)

    def collate(self, items: list[Item]) -> Any:
        return items

    def forward(self, batch: Any) -> Sequence[Any]:
        """All steps of the items at once."""
        with torch.inference_mode(mode=False):
            jobs = [self.begin(item) for item in batch]
            while unfinished := [job for job in jobs if not job.done]:
                self.step(unfinished)
        return [job.output for job in jobs]

    def handle(self, data: list[Mapping[str, Any]], context: Any) -> list[bytes]:
        """TorchServe's call for each step: what there is to send to each row, in order."""
        if not (context.model_yaml_config or {}).get("continuousBatching"):
            return super().handle(data, context)
        rows = [Row.of(fields, context, i) for i, fields in enumerate(data)]
        try:
            return self._advance(rows, context)
        except Exception:
            self._running.clear()  # TorchServe gives up whatever was in the batch
            logger.exception("failed requests: %s", ", ".join(row.trace_id for row in rows))
            raise

    def _advance(self, rows: Sequence[Row], context: Any) -> list[bytes]:
        self._forget_all_but({row.request_id for row in rows})
        with self.meter.seconds("decode"):
            refused = {i: answer for i, row in enumerate(rows) if (answer := self._refusal(row)) is not None}
        running = {i: self._running[row.request_id] for i, row in enumerate(rows) if i not in refused}
        with self.meter.seconds("forward"):
            told = self.step([each.job for each in running.values()]) if running else ()
        with self.meter.seconds("encode"):
            parts = {i: self._part(each, line) for (i, each), line in zip(running.items(), told, strict=True)}
        parts |= {i: Part(answer, None) for i, answer in refused.items()}
        self.meter.count(answer for answer, last in parts.values() if last is not False)
        context.stopping_criteria = {}
        for i, (answer, last) in parts.items():
            head(answer, context, i)
            if over_grpc(rows[i]):
                if last is False and not running[i].stream:
                    del context.request_ids[i]  # what is not in the message stays in the batch
                last = last is not False or not running[i].stream
            context.stopping_criteria[i] = lambda _, last=last: last
        return [parts[i].answer.body for i in range(len(rows))]

    def _forget_all_but(self, present: set[str]) -> None:
        """TorchServe leaves out those whose client has gone."""
        for request_id in self._running.keys() - present:
            gone = self._running.pop(request_id)
            logger.info("the client of %s left after %d steps", gone.trace_id, gone.steps)
            self.meter.count([GONE])

    def _refusal(self, row: Row) -> Answer | None:
        """None for a row that is under way; else the reply that ends it: to a bad one, or to one that asks why."""
        if row.request_id in self._running:
            return None
        try:
            item, stream = self.decode(row), streams(row)
            if stream and self.content_type(item) != JSON:
                raise BadRequest("stream", f"lines of JSON are no {self.content_type(item)}: ask for one of the two")
        except BadRequest as fault:
            return Answer.refusal(fault)
        if row.wants_explanation:
            return self._explained(item, row)
        self._running[row.request_id] = Running(row.request_id, row.trace_id, item, self.begin(item), stream)
        return None

    def _part(self, each: Running[Item, Work], line: Mapping[str, Any] | None) -> Part:
        each.steps += 1
        lines = dumps(line) + b"\n" if each.stream and line is not None else b""
        if not each.job.done:
            return Part(Answer(lines, LINES if each.stream else self.content_type(each.item)), last=False)
        del self._running[each.request_id]
        self.meter.add("request", time.perf_counter() - each.since)
        output = each.job.output
        answer = self._encoded(output, each.item) if all(finite([output])) else NOT_FINITE
        if each.stream:
            answer = replace(answer, body=lines + answer.body + b"\n", content_type=LINES)
        return Part(answer, last=True if each.steps > 1 else None)
