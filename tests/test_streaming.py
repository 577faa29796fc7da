"""Handlers whose answers come in steps, driven as TorchServe's continuous batching drives them."""

import json

import pytest
from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.protocol.otf_message_handler import create_predict_response

from handlers.jobs import GRPC_STREAMS
from tests.serve.counting_handler import Counting
from tests.worker import JSON, METRICS

HTTP = {**JSON, "host": "here"}


class Frontend:
    """What ContinuousBatching.java does: jobs stay until their reply says that it was the last."""

    def __init__(self, folder, continuous=True):
        card = {"name": "counting", "version": "1.0", "serving": {"batch_size": 4, "threads": 1}}
        (folder / "card.json").write_text(json.dumps({**card, "example": {"file": "none"}}))
        cache = MetricsCacheYamlImpl(str(METRICS))
        cache.initialize_cache()
        yaml = {"continuousBatching": continuous}
        self.context = Context("counting", str(folder), {}, 4, None, "0.12.0", metrics=cache, model_yaml_config=yaml)
        self.handler = Counting()
        self.handler.initialize(self.context)
        self.jobs, self.got, self.status = {}, {}, {}

    def post(self, name, body, headers=HTTP):
        self.jobs[name] = ({"body": body}, headers)
        self.got[name] = []

    def step(self):
        """One batch: TorchServe's own code says what becomes of what the handler returned."""
        names = list(self.jobs)
        self.context.request_ids = dict(enumerate(names))
        self.context.request_processor = [RequestProcessor(dict(headers)) for _, headers in self.jobs.values()]
        bodies = self.handler.handle([fields for fields, _ in self.jobs.values()], self.context)
        assert len(bodies) == len(names)
        create_predict_response(bodies, self.context.request_ids, "Prediction success", 200, self.context)
        for index, name in self.context.request_ids.items():
            following = self.context.get_response_headers(index).get("ts_stream_next")
            self.got[name].append((bodies[index], following))
            self.status[name] = self.context.get_response_status(index)[0]
            if following == "true":
                self.jobs[name] = ({}, self.jobs[name][1])  # the worker has seen the rest
            else:
                del self.jobs[name]

    def lines(self, name):
        return [json.loads(line) for body, _ in self.got[name] for line in body.splitlines()]


@pytest.fixture
def frontend(tmp_path):
    return Frontend(tmp_path)


def test_a_stream_hears_of_each_step_and_gets_the_reply_last(frontend):
    frontend.post("a", {"to": 3, "stream": True})
    while frontend.jobs:
        frontend.step()
    assert [following for _, following in frontend.got["a"]] == ["true", "true", "false"]
    *told, reply = frontend.lines("a")
    assert [line["step"] for line in told] == [1, 2, 3]
    assert reply == {"model": "counting", "version": "1.0", "count": 3}
    assert frontend.context.get_response_content_type(0) == "application/x-ndjson"


def test_who_does_not_stream_gets_the_reply_alone(frontend):
    frontend.post("a", {"to": 3})
    while frontend.jobs:
        frontend.step()
    assert [body for body, _ in frontend.got["a"][:-1]] == [b"", b""]
    assert frontend.lines("a") == [{"model": "counting", "version": "1.0", "count": 3}]
    assert frontend.context.get_response_content_type(0) == "application/json"


def test_what_takes_one_step_is_an_ordinary_reply(frontend):
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
    assert [line["side_by_side"] for line in frontend.lines("short")[:-1]] == [2, 2]
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


def test_a_row_that_asks_why_is_told_why_not(frontend):
    frontend.post("good", {"to": 2})
    frontend.post("why", {"to": 2}, {**HTTP, "explain": "True"})
    frontend.step()
    assert (frontend.status["why"], frontend.lines("why")[0]["message"]) == (400, "one after the other")
    assert list(frontend.jobs) == ["good"]


def test_a_client_that_left_is_forgotten_and_counted(frontend, caplog):
    caplog.set_level("INFO")
    frontend.post("gone", {"to": 1000}, {**HTTP, "x-request-id": "from-envoy"})
    frontend.post("stays", {"to": 1000})
    frontend.step()
    frontend.step()
    del frontend.jobs["gone"]
    frontend.step()
    assert "the client of from-envoy left after 2 steps" in caplog.text
    assert frontend.handler.meter._statuses[499] == 1
    assert [each.request_id for each in frontend.handler._running.values()] == ["stays"]


def test_over_grpc_there_is_one_message_and_it_is_the_last(frontend):
    """TorchServe would drop such a job after its first message, and StreamPredictions must hear that it is the last."""
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


def test_a_torchserve_that_can_gets_a_stream_over_grpc_in_parts(frontend, monkeypatch):
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
    monkeypatch.setattr(frontend.handler, "encode", lambda output, item: {"count": float("nan")})
    frontend.post("a", {"to": 2, "stream": True})
    frontend.step()
    frontend.step()
    assert frontend.lines("a")[-1]["code"] == 500


def test_a_bug_fails_the_batch_is_logged_and_leaves_nothing(frontend, caplog):
    frontend.post("a", {"to": 700}, {**HTTP, "x-request-id": "from-envoy"})
    for _ in range(665):
        frontend.step()
    with pytest.raises(RuntimeError, match="a bug"):
        frontend.step()
    assert "from-envoy" in caplog.text
    frontend.jobs.clear()
    frontend.post("b", {"to": 1})
    frontend.step()
    assert "left after" not in caplog.text
    assert frontend.lines("b")[0]["count"] == 1


def test_without_continuous_batching_all_steps_are_taken_at_once(tmp_path):
    frontend = Frontend(tmp_path, continuous=False)
    frontend.post("a", {"to": 5})
    frontend.post("b", {"to": 2})
    frontend.step()
    assert [frontend.lines(name)[0]["count"] for name in "ab"] == [5, 2]
    assert not frontend.jobs
