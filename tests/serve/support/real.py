"""The trained starter models, for tests that compare predictions with labels, and requests sent to them in parallel."""

import asyncio
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

import models
from marina.settings import ROOT
from tests.serve.support.bundle import Bundle

STARTERS = [name for name in models.names() if models.find(name).starter]
TASK = {name: models.find(name).task for name in STARTERS}
IMAGES, TEXTS, TABLES = (
    [name for name in STARTERS if TASK[name] == task]
    for task in ("image_classification", "text_classification", "tabular_regression")
)
DIGITS = [name for name in IMAGES if models.find(name).data == "mnist"]


def card_of(name: str, version: str = "1.0") -> dict[str, Any]:
    with zipfile.ZipFile(ROOT / "archive" / "store" / f"{name}-{version}.mar") as mar:
        return json.loads(mar.read("card.json"))


def send_all(bundle: Bundle, path: str, requests: Sequence[Any], at_once: int = 16) -> list[httpx.Response]:
    """Send requests (with `body` and `content_type`), `at_once` at a time; return the responses in order."""
    return post_all(bundle.settings.url, path, [sendable(request) for request in requests], at_once)


def sendable(request: Any, options: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a request of a test split as arguments of httpx; `options` are query parameters."""
    return {"content": request.body, "headers": {"content-type": request.content_type}, "params": options}


def post_all(url: str, path: str, sent: Sequence[Mapping[str, Any]], at_once: int) -> list[httpx.Response]:
    """Send requests (arguments of httpx), at most `at_once` in parallel; return the responses in order."""

    async def run() -> list[httpx.Response]:
        slots = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:

            async def one(request: Mapping[str, Any]) -> httpx.Response:
                async with slots:
                    return await client.post(path, **request)

            return await asyncio.gather(*map(one, sent))

    return asyncio.run(run())
