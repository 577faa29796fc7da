"""In-process host of a handler: it loads the model and passes batches of requests to it, as a TorchServe worker does.

png = Path("cat.png").read_bytes()
with Host.of_archive(Path("resnet18-1.0.mar"), Path("public.pem")) as host:
    (response,) = host.respond([HostedRequest.of_body(png, "image/png")])
print(response.json["predictions"])
"""

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

from marina.handler_lookup import handler_class
from marina.hosting.context import HostingContext
from marina.hosting.loading import archived_handler, unpack

JSON = "application/json"
EXPLAIN = {"explain": "True"}  # the header that TorchServe adds to requests to /explanations
OVER_HTTP = {"host": "localhost"}  # without a `host` header, handlers take a request for gRPC, and may not stream


@dataclass(frozen=True)
class HostedRequest:
    """One request as TorchServe passes it to a handler.

    `fields` holds the body under the key "body", form parts and query parameters under their own names.
    """

    fields: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_body(
        cls, body: bytes, content_type: str, options: Mapping[str, str] | None = None, explain: bool = False
    ) -> "HostedRequest":
        """Return a request with this body; `options` are query parameters, `explain` requests an explanation."""
        headers = {"content-type": content_type, **(EXPLAIN if explain else {})}
        return cls({**(options or {}), "body": decode_body(body, content_type)}, headers)


@dataclass(frozen=True)
class HostedResponse:
    """One response, or one part of a streamed response."""

    status: int
    content_type: str | None
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body; raises ValueError if it is not JSON."""
        return json.loads(self.body)


class Host:
    """One handler with its model. Not thread-safe.

    A context manager: entering it loads the model, and the handler then sets torch's number of threads, which holds for
    the whole process; leaving it restores the earlier number. `folder` holds card.json and the weights, `card` is the
    content of card.json, `gpu` is the index of a CUDA device, None for the CPU.
    """

    def __init__(
        self,
        folder: Path,
        handler: Any = None,
        manifest: Mapping[str, Any] | None = None,
        gpu: int | None = None,
    ) -> None:
        self.folder = folder
        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        self.batch_size: int = self.card["serving"]["batch_size"]
        self.handler = (handler or handler_class(self.card["task"]))()
        model = {"modelName": self.card["name"], "modelVersion": self.card["version"]}
        self.context = HostingContext(
            self.card["name"], folder, manifest or {"model": model}, self.batch_size, gpu, _version()
        )
        self._ids = count()
        self._temporary: Path | None = None
        self._threads: int | None = None

    @classmethod
    def of_archive(cls, archive: Path, public_key: Path, gpu: int | None = None) -> "Host":
        """Open a signed archive (.mar), unpacked into a temporary folder until the host is closed.

        Raises NotVerifiedError unless it was signed with the key behind `public_key` (PEM), and CodeConflictError if
        this process has imported other code than the archive's.
        """
        folder = Path(tempfile.mkdtemp(prefix="marina-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        try:
            manifest = unpack(archive, public_key, folder)
            host = cls(folder, archived_handler(folder, manifest), manifest, gpu)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        host._temporary = folder
        return host

    @classmethod
    def of_artifacts(cls, folder: Path, gpu: int | None = None) -> "Host":
        """Open the artifacts of a training run, artifacts/<name>/<version>/, with the handler of this checkout."""
        return cls(folder, gpu=gpu)

    def start(self) -> None:
        """Load the model and warm it up, as TorchServe does when a worker starts."""
        import torch

        self._threads = torch.get_num_threads()
        self.handler.initialize(self.context)

    def close(self) -> None:
        """Restore torch's number of threads and delete the unpacked archive.

        An archive on `sys.path` is kept until the process exits, because its code may still import other modules of it.
        """
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        if self._temporary is not None and str(self._temporary) not in sys.path:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> "Host":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def respond(self, requests: Sequence[HostedRequest]) -> list[HostedResponse]:
        """Return one complete response per request, in order; batches have at most the card's batch size."""
        starts = range(0, len(requests), self.batch_size)
        return [response for start in starts for response in self.batch(requests[start : start + self.batch_size])]

    def batch(self, requests: Sequence[HostedRequest]) -> list[HostedResponse]:
        """Return one complete response per request, in order, from a single batch of any size."""
        self.context.model_yaml_config = None  # without continuous batching handlers return complete responses
        return self._handle({f"hosted-{next(self._ids)}": request for request in requests})

    def stream(self, request: HostedRequest) -> Iterator[HostedResponse]:
        """Yield the parts of a response as the handler produces them.

        Handlers with continuous batching (text generation, image stylization) yield one part per step if the request
        has the option `stream`; without that option, every body but the last is empty. Other handlers yield one part.
        """
        request_id = f"hosted-{next(self._ids)}"
        headers = {**OVER_HTTP, **request.headers}
        request = HostedRequest(request.fields, headers)
        unfinished = True
        while unfinished:
            self.context.model_yaml_config = {"continuousBatching": True}
            (part,) = self._handle({request_id: request})
            criteria = self.context.stopping_criteria or {}
            unfinished = 0 in criteria and criteria[0](part.body) is False
            yield part
            request = HostedRequest({}, headers)  # the handler stored the fields at the first step

    def _handle(self, requests: Mapping[str, HostedRequest]) -> list[HostedResponse]:
        """Pass one batch, by request id, to the handler."""
        self.context.begin_batch({request_id: request.headers for request_id, request in requests.items()})
        bodies = self.handler.handle([dict(request.fields) for request in requests.values()], self.context)
        assert len(bodies) == len(requests), f"{len(bodies)} responses to {len(requests)} requests"
        return [
            HostedResponse(
                self.context.get_response_status(row)[0],
                self.context.get_response_content_type(row),
                self.context.get_response_headers(row),
                body.encode() if isinstance(body, str) else bytes(body),
            )
            for row, body in enumerate(bodies)
        ]


def decode_body(body: bytes, content_type: str) -> Any:
    """Decode a body as TorchServe's worker does: JSON to Python objects, text to str. Other or malformed bodies stay
    bytes.
    """
    try:
        if content_type == JSON:
            return json.loads(body.decode("utf-8"))
        if content_type.startswith("text"):
            return body.decode("utf-8")
    except ValueError:
        return body
    return body


def _version() -> str:
    """Return Marina's version; empty in a checkout that is not installed."""
    try:
        return metadata.version("marina")
    except metadata.PackageNotFoundError:
        return ""
