"""Long jobs through Envoy and TorchServe: they stream, go on side by side, and end when their client leaves."""

import json
import os
import signal
from collections import deque

import grpc
import httpx
import pytest

from tests.serve.bundle import Bundle, eventually
from tests.serve.counting import counting
from tests.serve.wire import messages

pytestmark = pytest.mark.serve
SERVICE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
FOREVER = {"to": 10_000, "seconds": 0.02, "stream": True}


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    for name, workers in (("one", 1), ("two", 2)):
        counting(instance.settings.store, instance.keys, name, workers=workers)
    instance.do("serve")
    return instance


def lines_of(response: httpx.Response):
    """The lines of a stream, as they come."""
    return map(json.loads, response.iter_lines())


def left_after(bundle: Bundle, request_id: str) -> list[int]:
    """Return the steps that the worker had taken when it detected that this client had left."""
    log = (bundle.settings.logs / "models.log").read_text().splitlines()
    mark = f"the client of {request_id} disconnected after "
    return [int(line.partition(mark)[2].split()[0]) for line in log if mark in line]


def test_lines_arrive_while_the_work_goes_on_and_others_are_answered_meanwhile(bundle: Bundle):
    """Nothing here ends by itself: were the reply held back until its end, or the worker busy, nothing would come."""
    with bundle.http.stream("POST", "/predictions/one", json=FOREVER, headers={"x-request-id": "first"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-request-id"] == "first"
        assert response.headers["x-model-version"] == "1.0"
        assert "ts_stream_next" not in response.headers
        lines = lines_of(response)
        assert [next(lines)["step"] for _ in range(3)] == [1, 2, 3]
        reply = bundle.http.post("/predictions/one", json={"to": 3})
        assert reply.json() == {"model": "one", "version": "1.0", "count": 3}
        refused = bundle.http.post("/predictions/one", json={"to": 0, "stream": True})
        assert (refused.status_code, refused.json()["field"]) == (400, "to")
        side_by_side = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
        assert [json.loads(line)["side_by_side"] for line in side_by_side[:-1]] == [2, 2]
        step = next(lines)["step"]
        assert next(lines)["step"] == step + 1


@pytest.mark.parametrize("stream", [True, False])
def test_work_ends_when_the_client_leaves(bundle: Bundle, stream):
    name = f"leaves-{stream}"
    order = FOREVER | {"stream": stream}
    with bundle.http.stream("POST", "/predictions/one", json=order, headers={"x-request-id": name}):
        pass  # the head of the reply is here: so the work began

    def noticed() -> list[int]:
        bundle.http.post("/predictions/one", json={"to": 1})  # an idle worker checks when it gets a request
        return left_after(bundle, name)

    (steps,) = eventually(noticed, "the worker sees that its client has gone")
    assert steps < 5000
    alone = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
    assert [json.loads(line)["side_by_side"] for line in alone[:-1]] == [1, 1]


def test_a_busy_worker_does_not_wait_for_an_idle_one(bundle: Bundle):
    """Without the change of TorchServe's class the stream would stand still until the other worker gets a request."""
    for _ in range(3):
        lines = bundle.http.post("/predictions/two", json={"to": 20, "stream": True}).text.splitlines()
        assert json.loads(lines[-1])["count"] == 20


def test_a_bug_in_the_middle_ends_the_stream(bundle: Bundle):
    order = {"to": 700, "stream": True}
    with bundle.http.stream("POST", "/predictions/one", json=order) as response, pytest.raises(httpx.TransportError):
        response.read()
    assert bundle.http.post("/predictions/one", json={"to": 1}).status_code == 200


@pytest.fixture
def over_grpc(bundle: Bundle):
    """call(rpc, **order) sends a request to model `one`; it returns the parts of the response, or the single one."""
    request, reply = messages()
    form = {"request_serializer": request.SerializeToString, "response_deserializer": reply.FromString}
    metadata = [("protocol", "gRPC"), ("authorization", bundle.token()["Authorization"])]
    with grpc.insecure_channel(f"127.0.0.1:{bundle.settings.grpc_inference_port}") as channel:
        kinds = {"Predictions": channel.unary_unary, "StreamPredictions": channel.unary_stream}

        def call(rpc: str, **order):
            message = request(model_name="one", input={"data": json.dumps(order).encode()})
            return kinds[rpc](f"{SERVICE}/{rpc}", **form)(message, metadata=metadata, timeout=60)

        yield call


def test_grpc_gets_one_message_and_the_worker_lives(bundle: Bundle, over_grpc):
    (pid,) = bundle.worker_pids("one")
    assert json.loads(over_grpc("Predictions", to=5).prediction)["count"] == 5
    assert [json.loads(part.prediction)["count"] for part in over_grpc("StreamPredictions", to=5)] == [5]
    assert [json.loads(part.prediction)["code"] for part in over_grpc("StreamPredictions", to=0)] == [400]
    assert bundle.worker_pids("one") == [pid]


def test_a_stream_over_grpc_comes_in_parts(bundle: Bundle, over_grpc):
    lines = b"".join(part.prediction for part in over_grpc("StreamPredictions", to=3, stream=True)).splitlines()
    assert [json.loads(line).get("step") for line in lines] == [1, 2, 3, None]
    assert json.loads(lines[-1])["count"] == 3
    (pid,) = bundle.worker_pids("one")
    only = over_grpc("Predictions", to=3, stream=True)  # a call that has one reply: the first part
    assert json.loads(only.prediction)["step"] == 1
    assert json.loads(over_grpc("Predictions", to=2).prediction)["count"] == 2
    assert bundle.worker_pids("one") == [pid]


def test_work_ends_when_a_client_of_grpc_leaves(bundle: Bundle, over_grpc):
    stream = over_grpc("StreamPredictions", **FOREVER)
    assert [json.loads(next(stream).prediction)["step"] for _ in range(3)] == [1, 2, 3]
    stream.cancel()

    def alone() -> bool:
        lines = bundle.http.post("/predictions/one", json={"to": 2, "stream": True}).text.splitlines()
        return [json.loads(line)["side_by_side"] for line in lines[:-1]] == [1, 1]

    eventually(alone, "the worker sees that its client has gone")


def test_a_dead_worker_ends_its_streams(bundle: Bundle):
    with bundle.http.stream("POST", "/predictions/one", json=FOREVER) as response:
        lines = lines_of(response)
        next(lines)
        os.kill(*bundle.worker_pids("one"), signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            deque(lines, maxlen=0)
    eventually(bundle.is_ready, "another worker")
    assert bundle.http.post("/predictions/one", json={"to": 2}).json()["count"] == 2
