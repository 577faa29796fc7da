"""The context that a handler's `initialize` and `handle` receive, without TorchServe.

It has the attributes and methods of TorchServe's `ts.context.Context` and `RequestProcessor` (TorchServe 0.12), with
the same names, arguments and results, so that the same handler runs in either.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from marina.hosting.metrics import HostedMetrics

SERVER_NAME = "Marina"
SEQUENCE_HEADERS = ("sequence_id", "sequence_start", "sequence_end")  # of TorchServe's stateful inference


class RequestState:
    """The headers of one request, and the status and headers of its response so far."""

    def __init__(self, request_header: Mapping[str, str]) -> None:
        self._request_header = dict(request_header)
        self._response_header: dict[str, str] = {}
        self._status_code = 200
        self._reason_phrase: str | None = None

    def get_request_property(self, key: str) -> str | None:
        """Return the value of a request header, whose name is case-sensitive; None where it is missing."""
        return self._request_header.get(key)

    def get_request_properties(self) -> dict[str, str]:
        """Return all request headers."""
        return self._request_header

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the HTTP status of the response."""
        self._status_code = code
        self._reason_phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """Return the HTTP status of the response, 200 unless it was set."""
        return self._status_code

    def get_response_status_phrase(self) -> str | None:
        """Return the reason phrase of the response; None unless it was set."""
        return self._reason_phrase

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the response."""
        self._response_header[key] = value

    def get_response_headers(self) -> dict[str, str]:
        """Return all headers of the response."""
        return self._response_header

    def get_response_header(self, key: str) -> str | None:
        """Return one header of the response; None where it is missing."""
        return self._response_header.get(key)


class HostingContext:
    """The model's facts, and the state of the batch of requests that is being handled.

    `model_yaml_config` is the content of the archive's model-config.yaml. `stopping_criteria` is set by handlers whose
    responses come in steps: for each row a function of its body that returns True after the last part, False before,
    None for a response in one piece. `gpu` is the number of a CUDA device, None for the CPU.
    """

    def __init__(
        self,
        model_name: str,
        model_dir: Path,
        manifest: Mapping[str, Any],
        batch_size: int,
        gpu: int | None = None,
        server_version: str = "",
        model_yaml_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self.model_yaml_config = model_yaml_config
        self.metrics = HostedMetrics()
        self.request_ids: dict[int, str] | None = None
        self.request_processor: Sequence[RequestState] | None = None
        self.stopping_criteria: dict[int, Callable[[Any], bool | None]] | None = None
        self.system_properties: dict[str, Any] = {
            "model_dir": str(model_dir),
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": SERVER_NAME,
            "server_version": server_version,
            "limit_max_image_pixels": True,
        }
        self.header_key_sequence_id, self.header_key_sequence_start, self.header_key_sequence_end = (
            os.getenv(f"TS_REQUEST_{name.upper()}", f"ts_request_{name}") for name in SEQUENCE_HEADERS
        )

    def begin_batch(self, headers: Mapping[str, Mapping[str, str]]) -> None:
        """Start a batch: request ids and the headers of each request, in the order of the rows."""
        self.request_ids = dict(enumerate(headers))
        self.request_processor = [RequestState(each) for each in headers.values()]
        self.stopping_criteria = None

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the id of row `idx`; None outside of a batch."""
        return None if self.request_ids is None else self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return a request header of row `idx`; None where it is missing."""
        return self._row(idx).get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Return all request headers of row `idx`."""
        return self._row(idx).get_request_properties()

    def get_sequence_id(self, idx: int) -> str | None:
        """Return the id of the sequence that the request of row `idx` belongs to, for stateful inference."""
        return self._row(idx).get_request_property(self.header_key_sequence_id)

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the content type of the response of row `idx`."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        """Return the content type of the response of row `idx`; None unless it was set."""
        return self._row(idx).get_response_header("content-type")

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the HTTP status of the response of row `idx`; outside of a batch, do nothing."""
        if self.request_processor is not None:
            self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the HTTP status of every response of the batch."""
        for row in self.request_processor or ():
            row.report_status(code, reason_phrase=phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """Return the HTTP status and the reason phrase of the response of row `idx`."""
        row = self._row(idx)
        return row.get_response_status_code(), row.get_response_status_phrase()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of the response of row `idx`."""
        self._row(idx).add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """Return all headers of the response of row `idx`."""
        return self._row(idx).get_response_headers()

    def _row(self, idx: int) -> RequestState:
        if self.request_processor is None:
            raise TypeError("no batch: the context has rows only while `handle` runs")
        return self.request_processor[idx]
