"""Streamed responses through Envoy and TorchServe: continuous batching, and jobs whose client disconnects.

Models `one` (one worker) and `two` (two workers) count from 1 to the requested number, a number per step.
"""

import json
import os
import signal
from collections import deque

import grpc
import httpx
import pytest

from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.counting import counting
from tests.serve.support.wire import messages

pytestmark = pytest.mark.serve
SERVICE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
LONG_JOB = {"to": 10_000, "seconds": 0.02, "stream": True}  # 200 s: no test waits for its end


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    for name, workers in (("one", 1), ("two", 2)):
        counting(instance.settings.store, instance.keys, name, workers=workers)
    instance.do("serve")
    return instance


def json_lines(response: httpx.Response):
    """Yield the parsed lines of a streamed response as they arrive."""
    return map(json.loads, response.iter_lines())


def steps_until_disconnect(bundle: Bundle, request_id: str) -> list[int]:
    """Return the number of steps after which the worker detected that the client had disconnected; empty if not yet."""
    log = (bundle.settings.logs / "models.log").read_text().splitlines()
    mark = f"the client of {request_id} disconnected after "
    return [int(line.partition(mark)[2].split()[0]) for line in log if mark in line]


def test_lines_arrive_while_the_job_runs_and_other_requests_are_served_meanwhile(bundle: Bundle):
    """The job outlasts the test, so this test fails if a response is held back to its end, or if the job blocks the
    only worker.
    """
    with bundle.http.stream("POST", "/predictions/one", json=LONG_JOB, headers={"x-request-id": "first"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-request-id"] == "first"
        assert response.headers["x-model-version"] == "1.0"
        assert "ts_stream_next" not in response.headers
        lines = json_lines(response)
        assert [next(lines)["step"] for _ in range(3)] == [1, 2, 3]
        short = bundle.http.post("/predictions/one", json={"to": 3})
        assert short.json() == {"model": "one", "version": "1.0", "count": 3}
        refused = bundle.http.post("/predictions/one", json={"to": 0, "stream": True})
        assert (refused.status_code, refused.json()["field"]) == (400, "to")
        second = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
        assert [json.loads(line)["batch"] for line in second[:-1]] == [2, 2]
        step = next(lines)["step"]
        assert next(lines)["step"] == step + 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_job_ends_when_its_client_disconnects(bundle: Bundle, stream):
    request_id = f"disconnects-{stream}"
    job = LONG_JOB | {"stream": stream}
    with bundle.http.stream("POST", "/predictions/one", json=job, headers={"x-request-id": request_id}):
        pass  # the response's headers have arrived, so the job has begun

    def detected() -> list[int]:
        bundle.http.post("/predictions/one", json={"to": 1})  # an idle worker checks when it gets a request
        return steps_until_disconnect(bundle, request_id)

    (steps,) = eventually(detected, "the worker detects that the client has disconnected")
    assert steps < 5000
    alone = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
    assert [json.loads(line)["batch"] for line in alone[:-1]] == [1, 1]


def test_a_busy_worker_does_not_wait_for_an_idle_one(bundle: Bundle):
    """Without Marina's patch of TorchServe, a stream stalls until the other worker gets a request."""
    for _ in range(3):
        lines = bundle.http.post("/predictions/two", json={"to": 20, "stream": True}).text.splitlines()
        assert json.loads(lines[-1])["count"] == 20


def test_an_exception_in_a_step_is_the_last_line_of_its_stream(bundle: Bundle):
    job = {"to": 700, "stream": True}  # step 666 raises
    lines = bundle.http.post("/predictions/one", json=job).text.splitlines()
    assert len(lines) == 666
    assert json.loads(lines[-1])["code"] == 500
    assert bundle.http.post("/predictions/one", json={"to": 1}).status_code == 200


@pytest.fixture
def grpc_call(bundle: Bundle):
    """Function `call(rpc, **job)` that sends a request to model `one`.

    It returns the response of Predictions, and an iterator over the parts of the response of StreamPredictions.
    """
    request_type, response_type = messages()
    codec = {"request_serializer": request_type.SerializeToString, "response_deserializer": response_type.FromString}
    metadata = [("protocol", "gRPC"), ("authorization", bundle.token()["Authorization"])]
    with grpc.insecure_channel(f"127.0.0.1:{bundle.settings.grpc_inference_port}") as channel:
        methods = {"Predictions": channel.unary_unary, "StreamPredictions": channel.unary_stream}

        def call(rpc: str, **job):
            message = request_type(model_name="one", input={"data": json.dumps(job).encode()})
            return methods[rpc](f"{SERVICE}/{rpc}", **codec)(message, metadata=metadata, timeout=60)

        yield call


def test_a_grpc_request_gets_one_message_and_the_worker_survives(bundle: Bundle, grpc_call):
    (pid,) = bundle.worker_pids("one")
    assert json.loads(grpc_call("Predictions", to=5).prediction)["count"] == 5
    assert [json.loads(part.prediction)["count"] for part in grpc_call("StreamPredictions", to=5)] == [5]
    assert [json.loads(part.prediction)["code"] for part in grpc_call("StreamPredictions", to=0)] == [400]
    assert bundle.worker_pids("one") == [pid]


def test_a_stream_over_grpc_arrives_in_parts(bundle: Bundle, grpc_call):
    lines = b"".join(part.prediction for part in grpc_call("StreamPredictions", to=3, stream=True)).splitlines()
    assert [json.loads(line).get("step") for line in lines] == [1, 2, 3, None]
    assert json.loads(lines[-1])["count"] == 3
    (pid,) = bundle.worker_pids("one")
    first = grpc_call("Predictions", to=3, stream=True)  # a unary call ends after the first part
    assert json.loads(first.prediction)["step"] == 1
    assert json.loads(grpc_call("Predictions", to=2).prediction)["count"] == 2
    assert bundle.worker_pids("one") == [pid]


def test_a_job_ends_when_its_grpc_client_cancels(bundle: Bundle, grpc_call):
    stream = grpc_call("StreamPredictions", **LONG_JOB)
    assert [json.loads(next(stream).prediction)["step"] for _ in range(3)] == [1, 2, 3]
    stream.cancel()

    def alone() -> bool:
        lines = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
        return [json.loads(line)["batch"] for line in lines[:-1]] == [1, 1]

    eventually(alone, "the worker detects that the client has cancelled")


def test_killing_a_worker_ends_its_streams(bundle: Bundle):
    with bundle.http.stream("POST", "/predictions/one", json=LONG_JOB) as response:
        lines = json_lines(response)
        next(lines)
        os.kill(*bundle.worker_pids("one"), signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            deque(lines, maxlen=0)
    eventually(bundle.is_ready, "a new worker is ready")
    assert bundle.http.post("/predictions/one", json={"to": 2}).json()["count"] == 2
