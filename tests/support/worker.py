"""A handler in the test's own process, and artifacts with random weights for it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

import models
from handlers import codecs
from marina.hosting.host import Host, HostedRequest
from tests import tasks

TORCHSERVE = Path(find_spec("ts").origin).parent  # not imported: handlers run without it
METRICS = TORCHSERVE / "configs" / "metrics.yaml"  # stock: it declares none of Marina's metrics
EXAMPLE = {"file": "example.json", "content_type": "application/json", "reply": {"prediction": 1.0}}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class SampleRequest:
    """One request as a worker sees it: fields (body, parts, query parameters) and headers."""

    fields: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleResponse:
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Worker:
    """A started handler with the artifacts in `folder`."""

    def __init__(self, folder: Path, gpu: int | None = None) -> None:
        self.host = Host.of_artifacts(folder, gpu)
        self.host.start()
        self.card, self.context, self.handler = self.host.card, self.host.context, self.host.handler

    def send(self, *requests: SampleRequest) -> list[SampleResponse]:
        """Return the responses to one batch."""
        responses = self.host.batch([HostedRequest(request.fields, request.headers) for request in requests])
        return [SampleResponse(each.status, each.content_type, each.body) for each in responses]


def untrained(name: str, folder: Path) -> Path:
    """Write artifacts of the model with random weights and a codec made by hand into `folder`."""
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
    """Return different inputs of the worker's network, (count, ...)."""
    batch: Tensor = tasks.find(worker.card["task"]).inputs(worker.handler.codec, worker.card["network"], count)
    return batch
