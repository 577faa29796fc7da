"""A minimal TorchServe handler."""

import os
from typing import Any

from benchmarks.networks import dumps, tuned


class Lean:
    """TorchServe passes a JPEG as bytes, and JSON already parsed."""

    def initialize(self, context: Any) -> None:  # noqa: ARG002 - TorchServe gives it
        self.workload = os.environ["BENCH_WORKLOAD"]
        self.model = tuned(self.workload)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:  # noqa: ARG002
        bodies = [row["body"] for row in data]
        if self.workload == "W1":
            return self.model.respond(bodies)
        return [dumps(reply) for reply in self.model.predict([body["features"] for body in bodies])]
