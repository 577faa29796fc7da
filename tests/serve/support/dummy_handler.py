"""Handler for tests: returns facts about the request; can sleep, fail, or not load; has Marina's metrics."""

import json
import os
import random
import time
from pathlib import Path

from ts.metrics.metric_type_enum import MetricTypes


class DummyHandler:
    def initialize(self, context):
        folder = Path(context.system_properties["model_dir"])
        if (folder / "broken.txt").exists():
            raise RuntimeError("this model is broken on purpose")
        self.manifest = context.manifest["model"]
        self.behaviour = json.loads((folder / "behaviour.json").read_text())

    def handle(self, rows, context):
        responses = []
        time.sleep(self.behaviour["seconds"])
        for index, row in enumerate(rows):
            body = row.get("body") or row.get("data") or b""  # JSON comes parsed
            seconds = context.get_request_header(index, "x-sleep")
            time.sleep(float(seconds or 0))
            self.count(context, index)
            context.set_response_content_type(index, "application/json")
            context.set_response_header(index, "x-prediction", "%7B%22label%22%3A%20%227%22%7D")
            if random.random() < self.behaviour["errors"] and not self.is_canary(body):
                context.set_response_status(500, "Injected", index)
            responses.append(
                json.dumps(
                    {
                        "version": self.manifest["modelVersion"],
                        "length": len(body),
                        "pid": os.getpid(),
                        "batch": len(rows),
                        "request_id": context.get_request_header(index, "x-request-id"),
                        "explain": context.get_request_header(index, "explain") == "True",
                    }
                )
            )
        return responses

    def is_canary(self, body):
        return isinstance(body, dict) and "canary" in body

    def count(self, context, index):
        labels = [self.manifest["modelName"], self.manifest["modelVersion"]]
        request = context.get_request_id(index)
        seconds = context.metrics.get_metric("marina_request_seconds", MetricTypes.HISTOGRAM)
        seconds.add_or_update(0.02, list(labels), request)
        counter = context.metrics.get_metric("marina_answers_total", MetricTypes.COUNTER)
        counter.add_or_update(1, [*labels, "200"], request)
