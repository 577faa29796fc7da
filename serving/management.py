"""A small client of TorchServe: its management API, the liveness check, and one prediction."""

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

from serving.settings import LOOPBACK, Settings

Liveness = Literal["up", "silent", "down"]


class RefusedError(Exception):
    """TorchServe answered no; the message is its own. `status` is that of HTTP, where it was an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Keys(BaseModel):
    """The bearer tokens that TorchServe made at its start."""

    inference: str
    management: str

    @classmethod
    def read(cls, settings: Settings) -> Self | None:
        """None before TorchServe has written them, whole."""
        try:
            content = json.loads(settings.key_file.read_bytes())
        except (FileNotFoundError, ValueError):  # TorchServe writes it in place: half a file is no file yet
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
        """Not so a zombie: it may be long until somebody reaps the fork of a fork server that was killed."""
        try:  # -1: TorchServe does not know it yet
            return self.pid > 0 and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class Description(BaseModel):
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
    """Every call may raise RefusedError, or httpx.TransportError if TorchServe can't be reached.

    Nothing here is synchronous on TorchServe's side: that would hold one of its threads and stall inference.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self.keys = keys
        # TorchServe (ModelManager.createVersionedModel) forgets one of two versions of a model registered at once.
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
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
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._inference.aclose()
        await self._management.aclose()

    async def alive(self) -> Liveness:
        """By OPTIONS /, which needs no key and no worker; /ping tells of neither. `silent`: connected, no answer."""
        try:
            answer = await self._inference.options("/")
        except httpx.TimeoutException:
            return "silent"
        except httpx.TransportError:
            return "down"
        return "up" if answer.is_success else "silent"

    async def _manage(self, method: str, path: str, **parameters: str | int) -> httpx.Response:
        answer = await self._management.request(method, path, params=parameters)
        if answer.is_error:
            try:
                message = answer.json()["message"]
            except (ValueError, KeyError):
                message = answer.text or answer.reason_phrase
            raise RefusedError(f"TorchServe: {message} ({answer.status_code})", answer.status_code)
        return answer

    async def describe(self, name: str) -> dict[str, Description]:
        """Every registered version of a model; empty if there is none."""
        answer = await self._management.get(f"/models/{quote(name)}/all")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        answer.raise_for_status()
        found = [Description.model_validate(entry) for entry in answer.json()]
        return {description.model_version: description for description in found}

    async def register(self, name: str, archive: str, workers: int, **settings: int) -> None:
        """By the bare file name in the store: DELETE of what was registered by URL would delete the archive too.
        `settings` take the place of the archive's own, such as max_batch_delay. Done is done: that it is registered
        already, which a look of a moment ago could not know, is no fault."""
        async with self._one_at_a_time[name]:
            try:
                await self._manage(
                    "POST", "/models", url=archive, initial_workers=workers, synchronous="false", **settings
                )
            except RefusedError as fault:
                if fault.status != httpx.codes.CONFLICT:
                    raise

    async def scale(self, name: str, version: str, workers: int) -> None:
        path = f"/models/{quote(name)}/{quote(version)}"
        await self._manage("PUT", path, min_worker=workers, max_worker=workers, synchronous="false")

    async def set_default(self, name: str, version: str) -> None:
        await self._manage("PUT", f"/models/{quote(name)}/{quote(version)}/set-default")

    async def unregister(self, name: str, version: str) -> None:
        async with self._one_at_a_time[name]:
            await self._manage("DELETE", f"/models/{quote(name)}/{quote(version)}")

    async def predict(self, name: str, version: str, body: bytes, content_type: str, timeout: float) -> httpx.Response:
        path = f"/predictions/{quote(name)}/{quote(version)}"
        return await self._inference.post(path, content=body, headers={"Content-Type": content_type}, timeout=timeout)
