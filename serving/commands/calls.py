"""Ask a model something; print the keys."""

import mimetypes
import sys
from pathlib import Path

import httpx
from rich.console import Console

from serving.commands.ask import console
from serving.errors import MarinaError
from serving.management import Keys
from serving.settings import Settings


def _post(verb: str, model: str, file: Path) -> None:
    settings = Settings()
    if not file.is_file():
        raise MarinaError(f"no such file: {file}")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    try:
        answer = httpx.post(
            f"{settings.url}/{verb}/{model}",
            content=file.read_bytes(),
            headers={"Content-Type": kind},
            timeout=300,
            verify=False,  # noqa: S501 - our own certificate, on our own machine, is often self-signed
            trust_env=False,
        )
    except httpx.TransportError as fault:
        raise MarinaError(f"nothing answers at {settings.url}: `make serve` first ({fault})") from fault
    if answer.headers.get("content-type", "").startswith("application/json"):
        Console(stderr=answer.is_error).print_json(answer.text)
    else:
        sys.stdout.buffer.write(answer.content)
    if answer.is_error:
        raise MarinaError(f"{answer.status_code} {answer.reason_phrase}")


def predict(model: str, file: Path) -> None:
    """POST a file to /predictions/MODEL, and print the answer."""
    _post("predictions", model, file)


def explain(model: str, file: Path) -> None:
    """POST a file to /explanations/MODEL, and print the answer."""
    _post("explanations", model, file)


def token() -> None:
    """The headers for TorchServe's own ports, which are new at each of its starts. Envoy's port needs none."""
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
