"""A TorchServe worker without TorchServe: the handler, fed through TorchServe's own context objects."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import ts
from safetensors.torch import save_file
from torch import Tensor
from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

import models
from archive.inputs import handler_class
from handlers import codecs
from tests import tasks

METRICS = Path(ts.__file__).parent / "configs" / "metrics.yaml"  # stock: it knows nothing of our metrics
EXAMPLE = {"file": "example.json", "content_type": "application/json", "reply": {"prediction": 1.0}}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Ask:
    """One request as a worker sees it: fields (body, parts, query parameters) and headers."""

    fields: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Got:
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Worker:
    def __init__(self, folder: Path, gpu: int | None = None) -> None:
        self.card = json.loads((folder / "card.json").read_text())
        cache = MetricsCacheYamlImpl(str(METRICS))
        cache.initialize_cache()
        self.context = Context(self.card["name"], str(folder), {}, 8, gpu, "0.12.0", metrics=cache)
        self.handler = handler_class(self.card["task"])()
        self.handler.initialize(self.context)

    def ask(self, *rows: Ask) -> list[Got]:
        """One batch."""
        self.context.request_processor = [RequestProcessor(dict(row.headers)) for row in rows]
        self.context.request_ids = {i: f"id-{i}" for i in range(len(rows))}
        bodies = self.handler.handle([dict(row.fields) for row in rows], self.context)
        return [
            Got(processor.get_response_status_code(), processor.get_response_header("content-type"), body)
            for processor, body in zip(self.context.request_processor, bodies, strict=True)
        ]


def untrained(name: str, folder: Path) -> Path:
    """Artifacts of the model with random weights and a codec made by hand, in `folder`."""
    torch.manual_seed(0)
    card = models.find(name)
    codec, arguments, labels = tasks.find(card.task).facts(card)
    folder.mkdir(parents=True)
    save_file(card.network(**arguments).state_dict(), folder / "model.safetensors")
    codecs.save(codec, folder)
    if labels:
        (folder / "labels.json").write_text(json.dumps(labels))
    facts = {"name": name, "version": "1.0", "task": card.task, "preset": "quick", "network": arguments}
    facts |= {"serving": asdict(card.serving), "metrics": {}, "example": EXAMPLE}
    (folder / "card.json").write_text(json.dumps(facts))
    return folder


def inputs(worker: Worker, count: int) -> Tensor:
    """(count, ...) different inputs of the worker's network."""
    batch: Tensor = tasks.find(worker.card["task"]).inputs(worker.handler.codec, worker.card["network"], count)
    return batch
