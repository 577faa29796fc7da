"""What a trained network is worth, measured through the handler that will serve it."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from handlers import codecs
from training import artifacts
from training.offline import Offline
from training.requests import Request
from training.task import Task

LIBRARIES = (
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


def evaluate(task: Task, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write weights, codec, labels and example into `folder`, then measure; returns card.json, which comes last."""
    weights = {name: value.contiguous().cpu() for name, value in task.network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # like the other files: whoever serves it may be another user
    codecs.save(task.codec, folder)
    if task.data.labels:
        artifacts.write_json(task.data.labels, folder / "labels.json")
    requests = list(task.requests(task.data))
    card: dict[str, Any] = facts | {"network": task.arguments, "example": write_example(requests[0], folder)}
    card["options"] = task.options
    artifacts.write_json(card, folder / artifacts.CARD)  # the handler reads it
    with Offline(folder) as worker:
        replies = list(worker.replies(requests, task.options))
        card["example"]["reply"] = next(worker.replies(requests[:1]))
        if worker.handler.EXPLANATION is not None:
            cost = worker.explanation_cost(requests[0], task.options)
            card["explain"] = {"cost": cost and round(cost, 1), "steps": task.card.serving.explain_steps}
    truths = [request.truth for request in requests]
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    more, shown = task.report(truths, replies, plots)
    card |= {
        "metrics": task.score(truths, replies) | more,
        **shown,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": {library: version(library) for library in LIBRARIES},
    }
    artifacts.write_json(card, folder / artifacts.CARD)
    return card


def write_example(request: Request, folder: Path) -> dict[str, Any]:
    """The first test request, which serving sends as a canary."""
    file = f"example.{request.content_type.split('/')[1]}"
    (folder / file).write_bytes(request.body)
    return {"file": file, "content_type": request.content_type}
