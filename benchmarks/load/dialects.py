"""Request formats of the stacks: a raw body, a form, or the Open Inference Protocol (V2) of MLServer and Triton."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.load.wire import Target, request
from benchmarks.workloads import Workload

JSON = "application/json"


@dataclass(frozen=True)
class Dialect:
    """`path` of the model; writer of a request's body and headers; parser of the response."""

    path: str
    write: Callable[[Workload, bytes], tuple[bytes, dict[str, str]]]
    read: Callable[[bytes], Any]

    def target(self, workload: Workload, port: int, headers: dict[str, str] | None = None) -> Target:
        """Return all requests of the workload for a server on a local port."""
        pairs = [self.write(workload, body) for body in workload.bodies]
        requests = [request(self.path, body, {**own, **(headers or {})}) for body, own in pairs]
        return Target("127.0.0.1", port, requests, self.read)


def plain(path: str) -> Dialect:
    """Return the dialect of unchanged bodies, with responses as in benchmarks/networks.py."""
    return Dialect(path, lambda workload, body: (body, {"Content-Type": workload.content_type}), json.loads)


def stock_torchserve(path: str) -> Dialect:
    """Return TorchServe's dialect: its image classifier returns {"<class>": probability}."""

    def read(body: bytes) -> Any:
        reply = json.loads(body)
        if reply.keys() & {"prediction", "predictions"}:  # of the lean handler, or of the regressor
            return reply
        return {"predictions": [{"label": label, "probability": value} for label, value in reply.items()]}

    return Dialect(path, lambda workload, body: (body, {"Content-Type": workload.content_type}), read)


def v2(path: str) -> Dialect:
    """Return MLServer's JSON dialect; a JPEG is sent as base64. The response is one string, which is JSON."""

    def write(workload: Workload, body: bytes) -> tuple[bytes, dict[str, str]]:
        if workload.name == "W2":
            numbers = json.loads(body)["features"]
            entry = {"name": "features", "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers}
        else:
            text = base64.b64encode(body).decode()
            entry = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
            entry["parameters"] = {"content_type": "base64"}
        return json.dumps({"inputs": [entry]}).encode(), {"Content-Type": JSON}

    def read(body: bytes) -> Any:
        return json.loads(json.loads(body)["outputs"][0]["data"][0])

    return Dialect(path, write, read)


def v2_binary(path: str) -> Dialect:
    """Return Triton's binary extension: a JSON head, then the tensor's bytes, both ways."""

    def write(_: Workload, body: bytes) -> tuple[bytes, dict[str, str]]:
        data = len(body).to_bytes(4, "little") + body
        entry = {"name": "body", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
        output = {"name": "reply", "parameters": {"binary_data": True}}
        head = json.dumps({"inputs": [entry], "outputs": [output]}).encode()
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        return head + data, headers

    def read(body: bytes) -> Any:
        head, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        size = head["outputs"][0]["parameters"]["binary_data_size"]
        return json.loads(body[end : end + size][4:])

    return Dialect(path, write, read)


def batch_of_one(path: str) -> Dialect:
    """Return BentoML's dialect: a batched endpoint takes a list from each client, a file as part of a form."""
    boundary = "benchmark-boundary"

    def write(workload: Workload, body: bytes) -> tuple[bytes, dict[str, str]]:
        if workload.name == "W2":
            return json.dumps({"features": [json.loads(body)["features"]]}).encode(), {"Content-Type": JSON}
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="image.jpg"\r\n'
        head += f"Content-Type: {workload.content_type}\r\n\r\n"
        form = head.encode() + body + f"\r\n--{boundary}--\r\n".encode()
        return form, {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    return Dialect(path, write, lambda body: json.loads(body)[0])
