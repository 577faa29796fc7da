"""Client of an app without a server, and the feedback routes as a server of their own."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from hmac import new as hmac
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from marina import headers
from marina.api import exception_handlers, feedback_routes
from marina.settings import ROOT


def api(engine: Engine | None) -> FastAPI:
    app = FastAPI()
    app.state.engine = engine
    app.include_router(feedback_routes.router)
    app.add_exception_handler(HTTPException, exception_handlers.http_error)
    app.add_exception_handler(RequestValidationError, exception_handlers.validation_error)
    app.add_exception_handler(OperationalError, exception_handlers.database_unavailable)
    return app


def token_of(key: str, request_id: str, at: float) -> dict[str, str]:
    """Return Envoy's header of a response to a request of experiment e, whose exposure has the same id."""
    signed = f"e.{request_id}.{at:.0f}"
    signature = hmac(key.encode(), f"{signed} {request_id}".encode(), sha256).hexdigest()
    return {headers.FEEDBACK_TOKEN: f"{signed}.{signature}"}


def call(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    """Send one request to an app, without a server."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control") as client:
            return await client.request(method, path, **request)

    return asyncio.run(send())


@contextmanager
def server(url: str, port: int) -> Iterator[subprocess.Popen]:
    """Run the feedback routes in a process of their own, once it responds; kill it at the end."""
    script = (
        "import uvicorn\n"
        "from marina.experiments.database import connect\n"
        "from tests.api.client import api\n"
        f"uvicorn.run(api(connect({url!r})), port={port}, log_level='error')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as process:
        try:
            wait_until_up(f"http://127.0.0.1:{port}/docs", process)
            yield process
        finally:
            process.kill()


def wait_until_up(url: str, process: subprocess.Popen, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)
