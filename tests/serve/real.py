"""The trained starter models, for tests that need true answers."""

import asyncio
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import httpx

import models
from serving.settings import ROOT
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

    async def run() -> list[httpx.Response]:
        slots = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(base_url=bundle.settings.url, timeout=60, trust_env=False) as client:

            async def one(request: Any) -> httpx.Response:
                async with slots:
                    headers = {"content-type": request.content_type}
                    return await client.post(path, content=request.body, headers=headers)

            return await asyncio.gather(*(one(request) for request in requests))

    return asyncio.run(run())
