"""`marina predict`, `explain` and `token`."""

import mimetypes
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from marina.cli.bundle_client import API_KEY, authorization, console
from marina.errors import MarinaError
from marina.serving.torchserve.client import Keys
from marina.settings import Settings

Version = Annotated[str | None, typer.Option(help="of the model", show_default="the model's default version")]


def _post(verb: str, model: str, file: Path, version: str | None) -> None:
    settings = Settings()
    if not file.is_file():
        raise MarinaError(f"no such file: {file}")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    try:
        response = httpx.post(
            "/".join((settings.url, verb, model, *([version] if version else []))),
            content=file.read_bytes(),
            headers={"Content-Type": kind, **authorization()},
            timeout=300,
            verify=False,  # noqa: S501 - our own certificate, on our own machine, is often self-signed
            trust_env=False,
        )
    except httpx.TransportError as exc:
        raise MarinaError(f"nothing responds at {settings.url}: `make serve` first ({exc})") from exc
    if response.headers.get("content-type", "").startswith("application/json"):
        Console(stderr=response.is_error).print_json(response.text)
    else:
        sys.stdout.buffer.write(response.content)
    if response.is_error:
        hint = f": put an access key into {API_KEY}" if response.status_code == 401 else ""
        raise MarinaError(f"{response.status_code} {response.reason_phrase}{hint}")


def predict(model: str, file: Path, version: Version = None) -> None:
    """Send a file to /predictions/MODEL, or to /predictions/MODEL/VERSION, and print the prediction."""
    _post("predictions", model, file, version)


def explain(model: str, file: Path, version: Version = None) -> None:
    """Send a file to /explanations/MODEL, or to /explanations/MODEL/VERSION, and print the explanation."""
    _post("explanations", model, file, version)


def token() -> None:
    """Print the headers for TorchServe's own ports, new at each of its starts. Envoy's port has access keys instead."""
    settings = Settings()
    keys = Keys.read(settings)
    if keys is None:
        raise MarinaError("there are no keys yet: `make serve` first")
    for port, key, use in (
        (f"{settings.inference_port} and gRPC {settings.grpc_inference_port}", keys.inference, "inference"),
        (f"{settings.management_port} and gRPC {settings.grpc_management_port}", keys.management, "management"),
    ):
        console.print(f"# {use}: port {port}", highlight=False)
        console.print(f"Authorization: Bearer {key}", highlight=False)
