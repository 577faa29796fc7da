"""The router of feedback without the rest of control."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from control import faults, feedback
from serving.settings import ROOT


def api(engine: Engine | None) -> FastAPI:
    app = FastAPI()
    app.state.engine = engine
    app.include_router(feedback.router)
    app.add_exception_handler(HTTPException, faults.refuse)
    app.add_exception_handler(RequestValidationError, faults.invalid)
    app.add_exception_handler(OperationalError, faults.unavailable)
    return app


def call(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    """One request, without a server."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


@contextmanager
def server(url: str, port: int) -> Iterator[subprocess.Popen]:
    """In a process of its own, which answers; killed at the end."""
    script = (
        "import uvicorn\n"
        "from routing.database import connect\n"
        "from tests.routing.api import api\n"
        f"uvicorn.run(api(connect({url!r})), port={port}, log_level='error')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as process:
        try:
            answering(f"http://127.0.0.1:{port}/docs", process)
            yield process
        finally:
            process.kill()


def answering(url: str, process: subprocess.Popen, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)
