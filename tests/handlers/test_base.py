"""The base class of handlers, tested by one that multiplies a number: loading, batches, explanations, metrics."""

import pytest
import torch
from ts.context import Context

from tests.handlers.scaling import EXPLAIN, Explaining, Scaling, post
from tests.support.metrics import Cache


def test_the_weights_of_the_folder_are_loaded_for_inference_only(served, folder, threads):
    handler, _ = served(Scaling)
    assert (handler.folder, handler.device) == (folder, torch.device("cpu"))
    assert handler.card["title"] == "倍"
    assert float(handler.network.factor) == 3
    assert not handler.network.factor.requires_grad
    assert not handler.network.training
    assert handler.optimized_network(torch.tensor([[2.0]])).tolist() == [[6.0]]
    assert handler.requests == []  # no example, no warm-up
    assert threads == [2]  # the card's `serving.threads`


@pytest.mark.parametrize(
    ("gpu", "available", "device"), [(None, True, "cpu"), (1, True, "cuda:1"), (0, True, "cuda:0"), (1, False, "cpu")]
)
def test_a_worker_uses_the_gpu_that_it_was_given(monkeypatch, folder, gpu, available, device):
    used = []

    def load(self, folder, device):
        used.append((folder, device))
        self.card = {"name": "scale", "version": "2.1"}

    monkeypatch.setattr(Scaling, "load", load)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    Scaling().initialize(Context("scale", str(folder), {}, 3, gpu, "0.12.0", metrics=Cache()))
    assert used == [(folder, torch.device(device))]


def test_the_example_warms_up_every_batch_size(served, folder):
    (folder / "example.json").write_text('{"x": 1}')
    handler, _ = served(Scaling)
    (request,) = handler.requests
    assert (request.body, request.request_id) == ({"x": 1}, "warm-up")
    assert request.headers == {"content-type": "application/json"}
    assert handler.batches == [(1, True), (2, True), (3, True)]  # sizes, each in inference mode


def test_the_valid_requests_of_a_batch_share_one_forward_pass(served):
    handler, context = served(Scaling)
    one, bad, two = post(handler, context, ({"x": "1.5"}, {}), ({}, {}), ({"x": "-2"}, {}))
    body = b'{"model":"scale","version":"2.1","prediction":4.5,"of":1.5}'
    assert one == ((200, "OK"), "application/json", '{"prediction":4.5}', body)
    assert two.json["prediction"] == -6
    assert bad[:3] == ((400, "Bad Request"), "application/json", None)
    assert bad.json == {"code": 400, "type": "BadRequest", "message": "not given", "field": "x"}
    assert handler.batches == [(2, True)]
    assert [request.request_id for request in handler.requests] == ["id-0", "id-1", "id-2"]


def test_responses_are_counted_and_stages_timed_under_the_models_name(served):
    handler, context = served(Scaling)
    post(handler, context, ({"x": "1"}, {}), ({}, {}), ({"x": "2"}, {}))
    handler.metrics.report()
    assert context.metrics.counted("marina_answers_total") == {("scale", "2.1", "200"): 2, ("scale", "2.1", "400"): 1}
    for stage in ("request", "decode", "forward", "encode"):
        ((seconds, labels),) = context.metrics.metrics[f"marina_{stage}_seconds"].values
        assert (seconds >= 0, labels) == (True, ("scale", "2.1"))


def test_a_batch_without_predictions_takes_no_forward_pass(served):
    handler, context = served(Explaining)
    post(handler, context, ({}, {}), ({"x": "1"}, EXPLAIN))
    handler.metrics.report()
    assert handler.batches == []
    assert context.metrics.metrics["marina_forward_seconds"].values == []
    assert context.metrics.metrics["marina_encode_seconds"].values == []


def test_explanations_come_after_the_forward_pass_in_the_order_of_requests(served):
    handler, context = served(Explaining)
    requests = [({"x": "1", "target": "t"}, EXPLAIN), ({"x": "2"}, {}), ({"x": "3"}, EXPLAIN)]
    requests += [({"x": "4", "target": "bad"}, EXPLAIN), ({"x": "5", "target": "png"}, EXPLAIN)]
    explained, predicted, default, bad, picture = post(handler, context, *requests)
    assert explained == (
        (200, "OK"),
        "application/json",
        None,
        b'{"model":"scale","version":"2.1","prediction":0,"why":"t"}',
    )
    assert predicted.json["prediction"] == 6
    assert default.json["why"] is None
    assert (bad.status, bad.json["field"]) == ((400, "Bad Request"), "target")
    assert picture[1:] == ("image/png", None, b"\x89PNG")
    # Input, target, and whether inference mode was on, in which there are no gradients.
    assert sorted(handler.explained) == [
        (1.0, "t", False),
        (3.0, None, False),
        (4.0, "bad", False),
        (5.0, "png", False),
    ]


def test_a_handler_without_explanations_returns_the_reason(served):
    handler, context = served(Scaling)
    (response,) = post(handler, context, ({"x": "1"}, EXPLAIN))
    assert response.status == (400, "Bad Request")
    assert response.json["message"] == "this test handler has no explanations"
    assert response.json["field"] == "explain"


def test_the_schemas_that_the_card_records():
    assert Scaling.api() == {"request": Scaling.request_schema, "reply": Scaling.response_schema, "explanation": None}
    assert Explaining.api()["explanation"] == {"type": "object"}
