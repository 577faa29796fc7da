"""The trained starter models, for tests that need true answers."""

import asyncio
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

import models
from marina.settings import ROOT
from tests.serve.bundle import Bundle

STARTERS = [name for name in models.names() if models.find(name).starter]
TASK = {name: models.find(name).task for name in STARTERS}
IMAGES, TEXTS, TABLES = (
    [name for name in STARTERS if TASK[name] == task]
    for task in ("image_classification", "text_classification", "tabular_regression")
)


def card_of(name: str, version: str = "1.0") -> dict[str, Any]:
    with zipfile.ZipFile(ROOT / "archive" / "store" / f"{name}-{version}.mar") as mar:
        return json.loads(mar.read("card.json"))


def ask_all(bundle: Bundle, path: str, requests: Sequence[Any], at_once: int = 16) -> list[httpx.Response]:
    """Post every request (`body`, `content_type`), `at_once` at a time; the responses in order."""
    return post_all(bundle.settings.url, path, [sendable(request) for request in requests], at_once)


def sendable(request: Any, options: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A request of a test split as httpx takes it; `options` go into the query."""
    return {"content": request.body, "headers": {"content-type": request.content_type}, "params": options}


def post_all(url: str, path: str, sent: Sequence[Mapping[str, Any]], at_once: int) -> list[httpx.Response]:
    """The responses to these requests, in order, `at_once` of them under way at a time."""

    async def run() -> list[httpx.Response]:
        slots = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:

            async def one(request: Mapping[str, Any]) -> httpx.Response:
                async with slots:
                    return await client.post(path, **request)

            return await asyncio.gather(*map(one, sent))

    return asyncio.run(run())
