"""Evaluation of a trained network through the handler that will serve it: the metric of the card is what is served.

Offline evaluation, the tests over HTTP and the load test all send the same requests (`requests_of`) and score the
responses the same way (`score`).
"""

import logging
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

import models
from handlers import codecs
from marina.errors import EvaluationError
from marina.hosting.host import Host, HostedRequest
from marina.training import artifacts, tasks
from marina.training.data import find
from marina.training.task import EvaluationRequest, Task

LIBRARIES = (  # whose versions the card records
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "scikit-learn",
    "numpy",
    "pillow",
    "jieba",
    "captum",
    "av",
    "faiss-cpu",
)
REPEATS = 3  # of each timed request: the median counts

logger = logging.getLogger(__name__)


def evaluate(task: Task, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write weights, codec, labels and example into `folder`, measure, and return card.json, which is written last.

    `facts` are the members of card.json that the run provides. Raises EvaluationError if a request of the test split
    fails.
    """
    write_network(task.network, task.codec, task.data.labels, folder)
    requests = list(task.requests(task.data))
    card: dict[str, Any] = facts | {"network": task.arguments, "example": write_example(requests[0], folder)}
    card["options"] = task.options
    artifacts.write_json(card, folder / artifacts.CARD)  # the handler reads it
    with Host.of_artifacts(folder) as host:
        responses = list(json_responses(host, requests, task.options))
        (card["example"]["reply"],) = json_responses(host, requests[:1])
        if host.handler.explanation_schema is not None:
            cost = explanation_cost(host, requests[0], task.options)
            card["explain"] = {"cost": cost and round(cost, 1), "steps": task.card.serving.explain_steps}
    truths = [request.truth for request in requests]
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    more_metrics, more_facts = task.report(truths, responses, plots)
    card |= {
        "metrics": task.score(truths, responses) | more_metrics,
        **more_facts,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": library_versions(),
    }
    artifacts.write_json(card, folder / artifacts.CARD)
    return card


def write_network(network: nn.Module, codec: Any, labels: Sequence[str], folder: Path) -> None:
    """Write what the handler loads beside card.json: the weights, the codec, and the labels if there are any."""
    weights = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    stored: set[int] = set()
    for name, value in weights.items():
        weights[name] = value.clone() if value.data_ptr() in stored else value  # safetensors stores no tied weights
        stored.add(value.data_ptr())
    save_file(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # like the other files: another user may serve it
    codecs.save(codec, folder)
    if labels:
        artifacts.write_json(labels, folder / "labels.json")


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that the card records."""
    return {library: version(library) for library in LIBRARIES}


def write_example(request: EvaluationRequest, folder: Path) -> dict[str, Any]:
    """Write the first test request, which serving sends as a canary, and return its file name and content type."""
    file = f"example.{request.content_type.split('/')[1]}"
    (folder / file).write_bytes(request.body)
    return {"file": file, "content_type": request.content_type}


def json_responses(
    host: Host, requests: Sequence[EvaluationRequest], options: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the JSON responses, in order; `options` are query parameters. Raises EvaluationError for any but a 200."""
    for start in range(0, len(requests), host.batch_size):
        yield from _checked(host, requests[start : start + host.batch_size], options)


def explanation_cost(host: Host, request: EvaluationRequest, options: Mapping[str, str] | None = None) -> float | None:
    """Return how many times as long as a prediction an explanation takes, each alone in its batch.

    None if there is nothing to explain: a detector that was hardly trained finds nothing.
    """
    try:
        prediction, explanation = (_seconds(host, request, options, explain) for explain in (False, True))
    except EvaluationError as exc:
        logger.warning("the cost of an explanation is unknown, the example could not be explained: %s", exc)
        return None
    return explanation / prediction


def _seconds(host: Host, request: EvaluationRequest, options: Mapping[str, str] | None, explain: bool) -> float:
    """Return the median seconds of a request; one before the timed ones warms up."""

    def timed() -> float:
        start = time.perf_counter()
        list(_checked(host, [request], options, explain))
        return time.perf_counter() - start

    timed()
    return statistics.median(timed() for _ in range(REPEATS))


def _checked(
    host: Host, requests: Sequence[EvaluationRequest], options: Mapping[str, str] | None, explain: bool = False
) -> list[dict[str, Any]]:
    """Return the JSON responses to one batch."""
    hosted = [HostedRequest.of_body(request.body, request.content_type, options, explain) for request in requests]
    responses = host.batch(hosted)
    for response in responses:
        if response.status != 200:
            raise EvaluationError(f"status {response.status}: {response.body!r}")
    return [response.json for response in responses]


def requests_of(
    name: str, data: str | None = None, limit: int | None = None, sizes: Mapping[str, int] | None = None
) -> Iterator[EvaluationRequest]:
    """Yield the test split of the model called `name`, in order, at most `limit` requests; `data` as for training.

    For the requests that a card was evaluated on: `data=changes.data_of(card), sizes=card["data"]["sizes"]`. A quick
    run uses the first examples of each split, and the reference classifier of generated images is trained on those.
    """
    card = models.find(name)
    loaded = find(data or card.data).load(card.task)
    yield from islice(tasks.find(card.task).requests(loaded.head(sizes or {})), limit)


def score(name: str, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of the model's JSON responses, in the order of the requests: those of the card under the same
    names.
    """
    return tasks.find(models.find(name).task).score(truths, responses)
