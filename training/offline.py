"""Evaluation through the handler, driven as TorchServe drives it: what is measured is what is served."""

import json
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import ts
from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.utils.util import list_classes_from_module

from training.requests import Request

METRICS = Path(ts.__file__).parent / "configs" / "metrics.yaml"
logger = logging.getLogger(__name__)
REPEATS = 3  # of each timed request: the median counts


class RefusedError(RuntimeError):
    """The handler answered a request of the test split with an error."""


class Offline:
    """A worker without a server: the handler of the model in `folder`, initialised as TorchServe would.

    A context manager, for handlers cap torch's threads as they must in a worker.
    """

    def __init__(self, folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        self.batch_size: int = card["serving"]["batch_size"]
        (kind,) = list_classes_from_module(import_module(f"handlers.{card['task']}"))
        manifest = {"model": {"modelName": card["name"], "modelVersion": card["version"]}}
        metrics = MetricsCacheYamlImpl(str(METRICS))
        metrics.initialize_cache()
        self.context = Context(
            card["name"], str(folder), manifest, self.batch_size, None, ts.__version__, metrics=metrics
        )
        self.handler = kind()

    def __enter__(self) -> "Offline":
        self.threads = torch.get_num_threads()
        self.handler.initialize(self.context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.set_num_threads(self.threads)

    def replies(
        self, requests: Sequence[Request], options: dict[str, str] | None = None, explain: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The JSON replies, in order; `options` are query parameters. Raises RefusedError for any but a 200."""
        for start in range(0, len(requests), self.batch_size):
            yield from self._batch(requests[start : start + self.batch_size], options or {}, explain)

    def explanation_cost(self, request: Request, options: dict[str, str] | None = None) -> float | None:
        """How many times as long as a prediction an explanation takes, each alone in its batch.

        None if there is nothing to explain: a detector that was hardly trained finds nothing.
        """
        try:
            seconds = {explain: self._seconds(request, options or {}, explain) for explain in (False, True)}
        except RefusedError as refusal:
            logger.warning("not explained, so that its cost is not known: %s", refusal)
            return None
        return seconds[True] / seconds[False]

    def _seconds(self, request: Request, options: dict[str, str], explain: bool) -> float:
        def once() -> float:
            start = time.perf_counter()
            self._batch([request], options, explain)
            return time.perf_counter() - start

        once()
        return statistics.median(once() for _ in range(REPEATS))

    def _batch(self, requests: Sequence[Request], options: dict[str, str], explain: bool) -> list[dict[str, Any]]:
        rows = []
        for request in requests:
            # As ts.protocol does: JSON is decoded, everything else arrives as bytes.
            body = json.loads(request.body) if request.content_type == "application/json" else request.body
            rows.append({**options, "body": body})
        headers = {"explain": "True"} if explain else {}
        self.context.request_ids = {place: f"offline-{place}" for place in range(len(rows))}
        self.context.request_processor = [
            RequestProcessor({"content-type": request.content_type, **headers}) for request in requests
        ]
        replies = self.handler.handle(rows, self.context)
        for place, reply in enumerate(replies):
            status, _ = self.context.get_response_status(place)
            if status != 200:
                raise RefusedError(f"status {status}: {reply!r}")
        return [json.loads(reply) for reply in replies]
