"""Client of TorchServe: its management API, the liveness check, and predictions."""

import asyncio
import json
from collections import defaultdict
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import httpx
import psutil
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from marina.errors import TorchServeError
from marina.settings import LOOPBACK, Settings

Liveness = Literal["up", "silent", "down"]


class Keys(BaseModel):
    """The bearer tokens that TorchServe generates at its start."""

    inference: str
    management: str

    @classmethod
    def read(cls, settings: Settings) -> Self | None:
        """Return the tokens of key_file.json; None until TorchServe has written the whole file."""
        try:
            content = json.loads(settings.key_file.read_bytes())
        except (FileNotFoundError, ValueError):  # TorchServe writes it in place, so it may be incomplete
            return None
        return cls(inference=content["inference"]["key"], management=content["management"]["key"])


class Worker(BaseModel):
    """One worker process as TorchServe describes it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: str
    status: str
    pid: int = 0
    gpu: bool = False
    gpu_usage: str = ""
    memory_usage: int = 0

    @property
    def alive(self) -> bool:
        """True if the process runs. A zombie does not: a fork whose fork server was killed may stay one for long."""
        try:  # -1: the pid is not known to TorchServe yet
            return self.pid > 0 and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class VersionDescription(BaseModel):
    """One version of a model as TorchServe describes it; timeouts in seconds."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    model_version: str
    min_workers: int
    max_workers: int
    response_timeout: int
    startup_timeout: int
    max_retry_timeout_in_sec: int = 300
    continuous_batching: bool = False
    workers: list[Worker] = Field(default_factory=list)


class TorchServe:
    """Client of one TorchServe.

    Every call may raise TorchServeError, or httpx.TransportError if TorchServe can't be reached. No request is
    synchronous on TorchServe's side: that would block one of its threads and delay inference.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self.keys = keys
        # TorchServe (ModelManager.createVersionedModel) loses one of two versions of a model registered concurrently.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        limits = httpx.Limits(max_connections=32)
        self._inference = httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{settings.inference_port}",
            headers={"Authorization": f"Bearer {keys.inference}"},
            limits=limits,
            timeout=5,
            trust_env=False,
        )
        self._management = httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{settings.management_port}",
            headers={"Authorization": f"Bearer {keys.management}"},
            limits=limits,
            timeout=30,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._inference.aclose()
        await self._management.aclose()

    async def alive(self) -> Liveness:
        """Check liveness by OPTIONS /, which needs no token and no worker; /ping would depend on both.

        "silent" means connected, without a response; "down" means no connection.
        """
        try:
            response = await self._inference.options("/")
        except httpx.TimeoutException:
            return "silent"
        except httpx.TransportError:
            return "down"
        return "up" if response.is_success else "silent"

    async def _manage(self, method: str, path: str, **parameters: str | int) -> httpx.Response:
        response = await self._management.request(method, path, params=parameters)
        if response.is_error:
            try:
                message = response.json()["message"]
            except (ValueError, KeyError):
                message = response.text or response.reason_phrase
            raise TorchServeError(f"TorchServe: {message} ({response.status_code})", response.status_code)
        return response

    async def describe(self, name: str) -> dict[str, VersionDescription]:
        """Return every registered version of a model; empty if there is none."""
        response = await self._management.get(f"/models/{quote(name)}/all")
        if response.status_code == httpx.codes.NOT_FOUND:
            return {}
        response.raise_for_status()
        descriptions = [VersionDescription.model_validate(entry) for entry in response.json()]
        return {description.model_version: description for description in descriptions}

    async def register(self, name: str, archive: str, workers: int, **settings: int) -> None:
        """Register a version by the archive's file name in the store.

        By URL, DELETE would delete the archive, too. `settings`, such as max_batch_delay, override the archive's own.
        A version that is registered already is not an error: the last poll may be out of date.
        """
        async with self._locks[name]:
            try:
                await self._manage(
                    "POST", "/models", url=archive, initial_workers=workers, synchronous="false", **settings
                )
            except TorchServeError as exc:
                if exc.status != httpx.codes.CONFLICT:
                    raise

    async def scale(self, name: str, version: str, workers: int) -> None:
        """Set the number of workers of a version."""
        path = f"/models/{quote(name)}/{quote(version)}"
        await self._manage("PUT", path, min_worker=workers, max_worker=workers, synchronous="false")

    async def set_default(self, name: str, version: str) -> None:
        """Make a version the default of its model."""
        await self._manage("PUT", f"/models/{quote(name)}/{quote(version)}/set-default")

    async def unregister(self, name: str, version: str) -> None:
        """Unregister a version."""
        async with self._locks[name]:
            await self._manage("DELETE", f"/models/{quote(name)}/{quote(version)}")

    async def predict(self, name: str, version: str, body: bytes, content_type: str, timeout: float) -> httpx.Response:
        """Send an inference request; return the response, whatever its status."""
        path = f"/predictions/{quote(name)}/{quote(version)}"
        return await self._inference.post(path, content=body, headers={"Content-Type": content_type}, timeout=timeout)
