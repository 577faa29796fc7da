"""Streaming handler for tests that counts from 1 to the request's `to`, a number per step: `{"to": 5}`.

A step takes `seconds`, and step 666 raises. `batch` in a streamed line is the number of requests in that step.
"""

import json
import time
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

from handlers.errors import BadRequest
from handlers.response import INTEGER, STRING, schema
from handlers.streaming import StreamingHandler


class Counting(StreamingHandler):
    request_schema = MappingProxyType({"application/json": {"schema": {"type": "object"}}})
    response_schema = schema(model=STRING, version=STRING, count=INTEGER)
    no_explanation_reason = "one after the other"

    def load(self, folder, device):
        """There is no network."""
        self.card = json.loads((Path(folder) / "card.json").read_text())
        self._running = {}

    def decode(self, row):
        to = row.integer("to", 1, 10_000)
        if to is None:
            raise BadRequest("to", "not given")
        return to, float(row.option("seconds") or 0)

    def first_input(self, item):
        raise AssertionError("it has no network")

    def begin(self, item):
        to, seconds = item
        return SimpleNamespace(to=to, seconds=seconds, done=False, output=0)

    def step(self, jobs):
        time.sleep(max(job.seconds for job in jobs))
        if any(job.output == 665 for job in jobs):
            raise RuntimeError("a bug")
        for job in jobs:
            job.output += 1
            job.done = job.output == job.to
        return [{"step": job.output, "of": job.to, "batch": len(jobs)} for job in jobs]

    def encode(self, output, item):
        return {"count": output}
