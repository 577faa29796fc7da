"""What is true right now: the reply of /ready."""

from typing import Literal

from pydantic import BaseModel

from serving.management import Worker

State = Literal["waiting", "refused", "registering", "loading", "checking", "ready", "failed", "stopped", "retiring"]
Canary = Literal["answered", "none: the archive gives no example"]


class VersionStatus(BaseModel):
    """One version of a model. `ready`: a worker is READY and a canary was answered; else `reason` says why not."""

    ready: bool = False
    state: State = "waiting"
    reason: str | None = None
    canary: Canary | None = None
    workers: list[Worker] = []


class ModelStatus(BaseModel):
    """`ready` is that of every version that is meant to have workers."""

    ready: bool
    default: str
    versions: dict[str, VersionStatus]


class Part(BaseModel):
    """TorchServe or Envoy."""

    ready: bool
    reason: str | None = None


class BundleStatus(BaseModel):
    """`ready`: both servers are, and every model is."""

    ready: bool
    torchserve: Part
    envoy: Part
    models: dict[str, ModelStatus]
