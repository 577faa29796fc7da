"""Handlers whose responses come in steps, driven as by TorchServe's continuous batching."""

from types import SimpleNamespace

import pytest
import torch

from handlers.base import TaskHandler
from handlers.metrics import HandlerMetrics
from handlers.streaming import GRPC_STREAMS, StreamingHandler
from tests.serve.support.counting_handler import Counting
from tests.support.frontend import HTTP, Frontend
from tests.support.metrics import Cache


@pytest.fixture
def frontend(tmp_path):
    return Frontend(tmp_path)


def test_a_stream_has_a_line_per_step_and_the_response_last(frontend):
    frontend.post("a", {"to": 3, "stream": True})
    while frontend.jobs:
        frontend.step()
    assert [following for _, following in frontend.got["a"]] == ["true", "true", "false"]
    *steps, response = frontend.lines("a")
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert response == {"model": "counting", "version": "1.0", "count": 3}
    assert frontend.context.get_response_content_type(0) == "application/x-ndjson"


def test_without_stream_only_the_response_is_sent(frontend):
    frontend.post("a", {"to": 3})
    while frontend.jobs:
        frontend.step()
    assert [body for body, _ in frontend.got["a"][:-1]] == [b"", b""]
    assert frontend.lines("a") == [{"model": "counting", "version": "1.0", "count": 3}]
    assert frontend.context.get_response_content_type(0) == "application/json"


def test_a_job_of_one_step_has_an_ordinary_response(frontend):
    frontend.post("a", {"to": 1})
    frontend.step()
    assert [following for _, following in frontend.got["a"]] == [None]


def test_requests_join_and_end_while_others_go_on(frontend):
    frontend.post("long", {"to": 5, "stream": True})
    frontend.step()
    frontend.post("short", {"to": 2, "stream": True})
    frontend.step()
    frontend.step()
    assert "short" not in frontend.jobs
    assert [line["batch"] for line in frontend.lines("short")[:-1]] == [2, 2]
    assert [line["step"] for line in frontend.lines("long")] == [1, 2, 3]


def test_a_bad_request_is_refused_at_once_and_the_rest_goes_on(frontend):
    frontend.post("good", {"to": 3, "stream": True})
    frontend.step()
    frontend.post("bad", {"to": 0, "stream": True})
    frontend.post("unsure", {"to": 2, "stream": "perhaps"})
    frontend.step()
    assert (frontend.status["bad"], frontend.status["unsure"]) == (400, 400)
    assert frontend.got["bad"][0][1] is None
    assert [line["field"] for name in ("bad", "unsure") for line in frontend.lines(name)] == ["to", "stream"]
    assert list(frontend.jobs) == ["good"]


def test_a_request_for_an_explanation_gets_the_reason_for_none(frontend):
    frontend.post("good", {"to": 2})
    frontend.post("why", {"to": 2}, {**HTTP, "explain": "True"})
    frontend.step()
    assert (frontend.status["why"], frontend.lines("why")[0]["message"]) == (400, "one after the other")
    assert list(frontend.jobs) == ["good"]


def test_a_client_that_disconnected_is_dropped_and_counted(frontend, caplog):
    caplog.set_level("INFO")
    frontend.post("gone", {"to": 1000}, {**HTTP, "x-request-id": "from-envoy"})
    frontend.post("stays", {"to": 1000})
    frontend.step()
    frontend.step()
    del frontend.jobs["gone"]
    frontend.step()
    assert "the client of from-envoy disconnected after 2 steps" in caplog.messages
    assert frontend.handler.metrics._statuses[499] == 1
    assert [each.request_id for each in frontend.handler._running.values()] == ["stays"]


def test_over_grpc_there_is_one_message_and_it_is_the_last(frontend):
    """TorchServe would drop such a job after its first message, and StreamPredictions needs the mark of the last."""
    frontend.post("grpc", {"to": 3, "stream": True}, {})
    frontend.post("bad", {"to": 0}, {})
    frontend.post("http", {"to": 3, "stream": True})
    frontend.step()
    assert frontend.got["grpc"] == []
    assert [following for _, following in frontend.got["bad"]] == ["false"]
    frontend.step()
    frontend.step()
    assert frontend.lines("grpc") == [{"model": "counting", "version": "1.0", "count": 3}]
    assert frontend.got["grpc"][0][1] == "false"


def test_a_patched_torchserve_gets_grpc_streams_in_parts(frontend, monkeypatch):
    monkeypatch.setenv(GRPC_STREAMS, "1")
    frontend.post("stream", {"to": 2, "stream": True}, {})
    frontend.post("whole", {"to": 2}, {})
    frontend.step()
    frontend.step()
    assert [following for _, following in frontend.got["stream"]] == ["true", "false"]
    assert [line.get("step", line.get("count")) for line in frontend.lines("stream")] == [1, 2, 2]
    assert [following for _, following in frontend.got["whole"]] == ["false"]
    frontend.post("short", {"to": 1, "stream": True}, {})
    frontend.step()
    assert [following for _, following in frontend.got["short"]] == ["false"]


def test_an_output_that_is_not_finite_ends_as_an_error(frontend, monkeypatch):
    monkeypatch.setattr(frontend.handler, "encode", lambda output, decoded: {"count": float("nan")})
    frontend.post("a", {"to": 2, "stream": True})
    frontend.step()
    frontend.step()
    assert frontend.lines("a")[-1]["code"] == 500


def test_a_step_that_fails_ends_its_own_request_and_the_others_go_on(frontend, caplog):
    frontend.post("a", {"to": 700}, {**HTTP, "x-request-id": "from-envoy"})
    for _ in range(664):
        frontend.step()
    frontend.post("b", {"to": 4, "stream": True})
    while frontend.jobs:
        frontend.step()
    assert "failed request: from-envoy" in caplog.messages
    assert "RuntimeError: a bug" in caplog.text
    (error,) = frontend.lines("a")
    assert (error["code"], "from-envoy" in error["message"]) == (500, True)
    assert [line.get("step", line.get("count")) for line in frontend.lines("b")] == [1, 2, 3, 4, 4]
    assert "disconnected after" not in caplog.text


@pytest.mark.parametrize("stage", ["decode", "begin"])
def test_a_request_that_cannot_be_begun_harms_itself_alone(frontend, monkeypatch, stage):
    frontend.post("good", {"to": 2})
    frontend.step()
    monkeypatch.setattr(frontend.handler, stage, lambda *_: 1 / 0)
    frontend.post("bad", {"to": 2})
    frontend.step()
    assert frontend.lines("bad")[0]["code"] == 500
    assert frontend.lines("good")[0]["count"] == 2


def test_jobs_that_take_no_step_together_are_not_stepped_twice(frontend, monkeypatch):
    taken, real = [], frontend.handler.step
    monkeypatch.setattr(type(frontend.handler), "steps_together", False)

    def step(jobs):
        taken.append([job.to for job in jobs])
        if jobs[0].to == 2:
            raise RuntimeError("a bug")
        return real(jobs)

    monkeypatch.setattr(frontend.handler, "step", step)
    frontend.post("good", {"to": 1})
    frontend.post("bad", {"to": 2})
    frontend.step()
    assert taken == [[1], [2]]
    assert (frontend.lines("good")[0]["count"], frontend.lines("bad")[0]["code"]) == (1, 500)


def test_an_error_that_ends_the_worker_is_raised_and_leaves_no_job(frontend, monkeypatch, caplog):
    def broken(jobs):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(frontend.handler, "step", broken)
    frontend.post("a", {"to": 7}, {**HTTP, "x-request-id": "from-envoy"})
    with pytest.raises(RuntimeError, match="CUDA error"):
        frontend.step()
    assert "failed requests: from-envoy" in caplog.messages
    assert not frontend.handler._running


def test_without_continuous_batching_all_steps_are_taken_at_once(tmp_path):
    frontend = Frontend(tmp_path, continuous=False)
    frontend.post("a", {"to": 5})
    frontend.post("b", {"to": 2})
    frontend.step()
    assert [frontend.lines(name)[0]["count"] for name in "ab"] == [5, 2]
    assert not frontend.jobs


def test_each_request_is_counted_and_timed_once_at_its_end(frontend, monkeypatch):
    monkeypatch.setattr(frontend.handler, "metrics", HandlerMetrics(Cache(), "counting", "1.0"))
    added = []
    monkeypatch.setattr(frontend.handler.metrics, "add", lambda stage, seconds: added.append((stage, seconds >= 0)))
    frontend.post("a", {"to": 2})
    frontend.post("bad", {"to": 0})
    frontend.step()
    stages = [("decode", True), ("forward", True), ("encode", True)]
    assert added == stages
    assert frontend.handler.metrics._statuses == {400: 1}
    frontend.step()
    assert added == [*stages, *stages[:2], ("request", True), stages[2]]
    assert frontend.handler.metrics._statuses == {400: 1, 200: 1}


def test_the_time_of_a_request_is_that_of_all_its_steps(frontend, monkeypatch):
    added = {}
    monkeypatch.setattr(frontend.handler.metrics, "add", lambda stage, seconds: added.update({stage: seconds}))
    frontend.post("a", {"to": 2})
    frontend.step()
    (running,) = frontend.handler._running.values()
    running.since -= 1000  # as if it had begun then
    frontend.step()
    assert 1000 <= added["request"] < 2000


def test_a_batch_of_refusals_takes_no_step(frontend, monkeypatch):
    monkeypatch.setattr(frontend.handler, "step", lambda jobs: pytest.fail("nothing to do"))
    frontend.post("bad", {"to": 0})
    frontend.step()
    assert frontend.status["bad"] == 400


def test_a_step_must_return_a_line_for_each_job(frontend, monkeypatch):
    monkeypatch.setattr(frontend.handler, "step", lambda jobs: [])
    frontend.post("a", {"to": 2})
    frontend.step()
    assert frontend.lines("a")[0]["code"] == 500


def test_a_step_may_return_no_line(frontend, monkeypatch):
    real = frontend.handler.step
    monkeypatch.setattr(frontend.handler, "step", lambda jobs: [None for _ in real(jobs)])
    frontend.post("a", {"to": 2, "stream": True})
    frontend.step()
    frontend.step()
    assert [body.count(b"\n") for body, _ in frontend.got["a"]] == [0, 1]


@pytest.mark.parametrize("stream", [True, False])
def test_an_output_of_the_network_that_is_not_finite_is_an_error(frontend, monkeypatch, stream):
    monkeypatch.setattr(frontend.handler, "begin", lambda decoded: SimpleNamespace(done=True, output=float("nan")))
    monkeypatch.setattr(frontend.handler, "step", lambda jobs: [None])
    frontend.post("a", {"to": 1, "stream": stream})
    frontend.step()
    error = frontend.lines("a")[-1]
    assert (error["code"], error["message"]) == (500, "the network's output is not finite")


def test_a_png_has_its_content_type_from_the_start_and_cannot_be_streamed(frontend, monkeypatch):
    kinds = {2: "image/png"}
    monkeypatch.setattr(frontend.handler, "content_type", lambda decoded: kinds.get(decoded[0], "application/json"))
    frontend.post("picture", {"to": 2})
    frontend.post("stream", {"to": 2, "stream": True})
    frontend.post("json", {"to": 3, "stream": True})
    frontend.step()
    assert frontend.context.get_response_content_type(0) == "image/png"
    assert (frontend.status["stream"], frontend.lines("stream")[0]["field"]) == (400, "stream")
    assert frontend.lines("stream")[0]["message"] == "lines of JSON are no image/png: ask for one of the two"
    assert list(frontend.jobs) == ["picture", "json"]
    assert StreamingHandler.content_type(frontend.handler, (2, 0)) == "application/json"


def test_the_decoded_input_is_encoded_and_explained(frontend, monkeypatch):
    calls = []
    monkeypatch.setattr(frontend.handler, "encode", lambda output, decoded: calls.append(decoded) or {"count": output})
    monkeypatch.setattr(frontend.handler, "explain", lambda decoded, target: calls.append((decoded, target)) or {})
    frontend.post("a", {"to": 1, "seconds": 0.0})
    frontend.post("why", {"to": 3, "target": "t"}, {**HTTP, "explain": "True"})
    frontend.step()
    assert sorted(calls, key=str) == sorted([(1, 0.0), ((3, 0.0), "t")], key=str)


def test_without_continuous_batching_steps_may_keep_gradients(tmp_path, monkeypatch):
    frontend, modes = Frontend(tmp_path, continuous=False), []
    real = frontend.handler.step
    inference_mode = torch.is_inference_mode_enabled
    monkeypatch.setattr(frontend.handler, "step", lambda jobs: modes.append(inference_mode()) or real(jobs))
    frontend.post("a", {"to": 2})
    frontend.step()
    assert modes == [False, False]


def test_a_loaded_model_has_no_running_request_and_a_warm_up_of_one(monkeypatch, tmp_path):
    loaded = []
    monkeypatch.setattr(TaskHandler, "load", lambda self, folder, device: loaded.append((folder, device)))
    handler = Counting()
    StreamingHandler.load(handler, tmp_path, "cpu")
    assert loaded == [(tmp_path, "cpu")]
    assert handler._running == {}
    assert list(handler.warm_up_sizes()) == [1]
