"""Status of this node, what of it is public at /ready, and the readiness of its peers, polled from theirs."""

import asyncio
import logging
import shutil
import ssl
from typing import Literal

import httpx
from pydantic import BaseModel, ValidationError

from marina.serving.torchserve.client import Worker
from marina.settings import Settings

logger = logging.getLogger(__name__)

State = Literal["waiting", "refused", "registering", "loading", "checking", "ready", "failed", "stopped", "retiring"]
Canary = Literal["answered", "none: the archive gives no example"]
PEER_POLL_SECONDS = 1.0
MIN_FREE_BYTES = 500_000_000


class VersionReadiness(BaseModel):
    """The public part of VersionStatus."""

    ready: bool = False
    state: State = "waiting"


class ModelReadiness(BaseModel):
    """The public part of ModelStatus."""

    ready: bool
    default: str
    versions: dict[str, VersionReadiness]


class BundleReadiness(BaseModel):
    """The public part of BundleStatus, without processes, load, paths and messages of exceptions."""

    ready: bool
    warnings: list[str] = []
    models: dict[str, ModelReadiness]


class VersionStatus(BaseModel):
    """Status of one version. `ready`: a worker is READY and responded to a canary request; else `reason` explains."""

    ready: bool = False
    state: State = "waiting"
    reason: str | None = None
    canary: Canary | None = None
    workers: list[Worker] = []


class ModelStatus(BaseModel):
    """Status of one model. `ready`: every version whose spec has workers is ready."""

    ready: bool
    default: str
    versions: dict[str, VersionStatus]


class ServerStatus(BaseModel):
    """Status of TorchServe or Envoy."""

    ready: bool
    reason: str | None = None


class BundleStatus(BaseModel):
    """Status of the node. `ready`: both servers and every model are ready.

    `warnings` explain, by a code, what will need an operator although requests are served: a full disk, for instance.
    """

    ready: bool
    warnings: dict[str, str] = {}
    torchserve: ServerStatus
    envoy: ServerStatus
    models: dict[str, ModelStatus]

    def readiness(self) -> BundleReadiness:
        """Return what /ready returns to the public."""
        return BundleReadiness.model_validate(self.model_dump() | {"warnings": list(self.warnings)})


def low_disk(settings: Settings) -> str | None:
    """Return a warning if the disk of `var` has less than MIN_FREE_BYTES left; None if it has more."""
    free = shutil.disk_usage(settings.var).free
    if free >= MIN_FREE_BYTES:
        return None
    return (
        f"{free // 1_000_000} MB are free on the disk of {settings.var}: models are served on, but no log, command or "
        "experiment can be written once it is full"
    )


def node_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of a node, which shows its certificate and trusts the bundle's CA; None without a CA."""
    if settings.ca is None or settings.cert is None:
        return None
    context = ssl.create_default_context(cafile=settings.ca)
    context.load_cert_chain(settings.cert, settings.key)
    return context


class Peers:
    """The versions that other nodes serve. A peer is "host:port" of a Marina's public port; only /ready is polled."""

    def __init__(self, settings: Settings) -> None:
        self._tls = node_context(settings)
        self._scheme = "http" if self._tls is None else "https"
        self._http = httpx.AsyncClient(timeout=PEER_POLL_SECONDS, trust_env=False, verify=self._tls or True)
        self._ready: dict[str, frozenset[tuple[str, str]]] = {
            f"{host}:{port}": frozenset() for host, port in settings.peers
        }

    def serving(self, name: str, version: str) -> frozenset[str]:
        """Return the peers that reported this version as ready in the last poll."""
        return frozenset(peer for peer, versions in self._ready.items() if (name, version) in versions)

    async def run(self) -> None:
        """Poll the peers until cancelled; return at once if there are none."""
        try:
            while self._ready:
                await asyncio.gather(*map(self._poll, self._ready))
                await asyncio.sleep(PEER_POLL_SECONDS)
        finally:
            await self._http.aclose()

    async def _poll(self, peer: str) -> None:
        ready: frozenset[tuple[str, str]] = frozenset()
        try:
            response = await self._http.get(f"{self._scheme}://{peer}/ready")
            status = BundleReadiness.model_validate_json(response.content)
            ready = frozenset(
                (name, version)
                for name, model in status.models.items()
                for version, version_status in model.versions.items()
                if version_status.ready
            )
        except (httpx.HTTPError, ValidationError) as exc:
            if self._ready[peer]:
                logger.warning("node %s is gone: %s", peer, str(exc) or type(exc).__name__)
        self._ready[peer] = ready
