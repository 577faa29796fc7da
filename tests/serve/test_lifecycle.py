"""Life of a bundle: no prediction before a model is ready, all responses after that, and no process left after stop."""

import socket
import subprocess
import threading

import grpc
import httpx
import pytest

from tests.serve.support.bundle import Bundle, dummy
from tests.serve.support.wire import messages

pytestmark = pytest.mark.serve


@pytest.fixture(scope="module")
def startup(instance: Bundle):
    """Start a bundle; return the command's output, and pairs of responses, of /ready and a prediction, meanwhile."""
    for version in ("1.9", "1.10"):
        instance.pack("alpha", version)
    instance.pack("beta")
    responses, started = [], threading.Event()

    def watch():
        while not started.is_set():
            try:
                ready = instance.http.get("/ready")
                responses.append((ready, instance.http.post("/predictions/alpha", json={})))
            except httpx.TransportError:
                started.wait(0.02)  # Envoy is not there yet

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output = instance.do("serve")
    finally:
        started.set()
        watcher.join()
    return output, responses


@pytest.fixture
def bundle(startup, instance: Bundle) -> Bundle:
    return instance


def test_start_prints_what_it_serves_and_a_curl_command(startup, instance: Bundle):
    output, _ = startup
    assert "1.10 (default)" in output
    assert f"{instance.settings.url}/predictions/beta" in output
    (line,) = [line for line in output.splitlines() if line.startswith("curl") and "/predictions/" in line]
    assert subprocess.check_output([*line.replace("'", "").split(" -H ")[0].split(), "-d", "x"])


def test_envoy_returns_503_until_the_model_is_ready(startup):
    _, responses = startup
    early = [predicted for _, predicted in responses if predicted.status_code != 200]
    assert early, "no request was sent before the model was ready"
    for response in early:
        assert response.status_code == 503  # and never TorchServe's 400 for a key of an earlier run
        body = response.json()
        assert body["type"] == "ServiceUnavailableException"
        assert body["code"] == 503
        assert body["message"].startswith("alpha 1.10 is not ready")


def test_ready_is_503_as_long_as_predictions_fail(startup):
    _, responses = startup
    statuses = {(ready.status_code, predicted.status_code) for ready, predicted in responses}
    assert (503, 503) in statuses
    assert (200, 503) not in statuses


def test_the_newest_version_is_the_default(bundle: Bundle):
    assert bundle.http.post("/predictions/alpha", json={}).json()["version"] == "1.10"
    assert bundle.http.post("/predictions/alpha/1.9?top=3", json={}).json()["version"] == "1.9"
    assert bundle.http.post("/explanations/alpha", json={}).json()["explain"] is True


def test_every_model_has_responded_to_its_canary(bundle: Bundle):
    status = bundle.control("/status")
    assert status.status_code == 200
    for model in status.json()["models"].values():
        assert {version["canary"] for version in model["versions"].values()} == {"answered"}


def test_request_ids_are_kept_or_generated(bundle: Bundle):
    for identity in ("my-own-id", "b0a1d4a4-3f3c-4f7e-9a6d-0d5c9f1a2b3c"):
        response = bundle.http.post("/predictions/alpha", json={}, headers={"X-Request-Id": identity})
        assert response.headers["x-request-id"] == identity
        assert response.json()["request_id"] == identity
    assert bundle.http.post("/predictions/alpha", json={}).headers["x-request-id"]


def test_a_body_that_is_too_long(bundle: Bundle):
    response = bundle.http.post("/predictions/alpha", content=bytes(33554433))
    assert response.status_code == 413
    assert response.json()["field"] == "body"
    assert response.json()["code"] == 413


def test_unknown_models_versions_and_paths_get_a_404(bundle: Bundle):
    assert bundle.http.post("/predictions/nope", json={}).json()["type"] == "ModelNotFoundException"
    assert bundle.http.post("/predictions/alpha/7.7", json={}).status_code == 404
    assert bundle.http.get("/nowhere").json()["code"] == 404
    assert bundle.http.get("/v1/models/nope").json()["code"] == 404


def test_cards_and_the_openapi_page(bundle: Bundle):
    assert {model["name"] for model in bundle.http.get("/v1/models").json()} == {"alpha", "beta"}
    model = bundle.http.get("/v1/models/alpha").json()
    assert (model["default"], model["ready"]) == ("1.10", True)
    assert model["versions"]["1.9"]["example"]["file"] == "example.json"
    paths = bundle.http.get("/openapi.json").json()["paths"]
    assert {"/predictions/alpha", "/explanations/beta", "/ready", "/v1/models/{name}"} <= set(paths)
    shown = paths["/predictions/alpha"]["post"]["requestBody"]["content"]
    assert shown["application/json"]["example"] == bundle.http.get("/v1/models/alpha/example").json()
    assert "://" not in bundle.http.get("/docs").text  # it works offline
    assert bundle.http.get("/docs/static/swagger-ui-bundle.js").status_code == 200


def test_metrics_of_marina_and_of_torchserve_exist_from_the_start(bundle: Bundle):
    metrics = bundle.http.get("/metrics").text
    assert 'marina_request_seconds_bucket{ModelName="beta",ModelVersion="1.0"' in metrics
    assert 'marina_answers_total{ModelName="beta",ModelVersion="1.0",Status="200"' in metrics
    assert 'ts_inference_requests_total{model_name="beta",model_version="1.0"' in metrics


def test_torchserve_requires_its_key(bundle: Bundle):
    direct = f"http://127.0.0.1:{bundle.settings.inference_port}/predictions/beta"
    assert httpx.post(direct, json={}).status_code == 400
    assert httpx.post(direct, json={}, headers=bundle.token()).status_code == 200
    printed = bundle.do("token")
    assert bundle.token("inference")["Authorization"] in printed
    assert bundle.token("management")["Authorization"] in printed


def test_grpc_requires_the_inference_key(bundle: Bundle):
    request_type, response_type = messages()
    with grpc.insecure_channel(f"127.0.0.1:{bundle.settings.grpc_inference_port}") as channel:
        predict = channel.unary_unary(
            "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        message = request_type(model_name="alpha", model_version="1.9", input={"data": b"hello"})
        response = predict(message, metadata=[("authorization", bundle.token()["Authorization"])], timeout=30)
        assert b'"version": "1.9", "length": 5' in response.prediction
        with pytest.raises(grpc.RpcError):
            predict(message, timeout=30)


def test_torchserve_itself_registers_no_archive_that_was_not_verified(bundle: Bundle):
    dummy(bundle.settings.store, bundle.keys, "foreign")  # signed, but neither served nor registered by marina
    url = f"http://127.0.0.1:{bundle.settings.management_port}/models"
    for source in ("foreign-1.0.mar", "http://127.0.0.1:9/x.mar"):
        parameters = {"url": source, "initial_workers": 1, "synchronous": "false"}
        assert httpx.post(url, params=parameters, headers=bundle.token("management")).status_code == 404
    assert bundle.http.post("/predictions/foreign", json={}).status_code == 404


def test_a_second_start_reports_that_the_bundle_is_running(bundle: Bundle):
    again = bundle.run("serve")
    assert again.returncode == 1
    assert "already running" in again.stderr


def test_stop_leaves_no_process(bundle: Bundle):
    before = bundle.processes()
    assert len(before) >= 7  # supervisor, JVM, Envoy, control, three workers
    bundle.do("stop")
    assert bundle.processes() == []
    assert "nothing was running" in bundle.do("stop")
    assert "make serve" in bundle.run("status").stderr


def test_a_busy_port_is_named(bundle: Bundle):
    with socket.create_server(("127.0.0.1", bundle.settings.management_port)):
        busy = bundle.run("serve")
    assert busy.returncode == 1
    assert f"port {bundle.settings.management_port} is in use" in busy.stderr
    assert "MARINA_MANAGEMENT_PORT" in busy.stderr
    assert bundle.processes() == []


def test_a_model_without_an_archive_is_named(bundle: Bundle):
    result = bundle.run("serve", "gamma")
    assert result.returncode == 1
    assert "no archive of gamma" in result.stderr
