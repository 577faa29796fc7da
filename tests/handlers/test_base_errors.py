"""Errors in the base class: bugs, outputs that are not finite, responses that are too large."""

import json

import pytest
import torch

from handlers.base import finite_outputs
from handlers.errors import TooManyRequests
from handlers.response import MAX_BYTES, Response
from tests.handlers.scaling import EXPLAIN, Explaining, Scaling, post

FAULTS = {
    "decode": lambda handler: setattr(
        handler, "decode", failing_at_2(handler.decode, lambda request: request.option("x"))
    ),
    "collate": lambda handler: setattr(
        handler, "collate", failing_at_2(handler.collate, lambda rows: [*map(float, rows)])
    ),
    "forward": lambda handler: setattr(handler, "forward", failing_at_2(handler.forward, lambda batch: batch.tolist())),
    "encode": lambda handler: setattr(handler, "encode", failing_at_2(handler.encode, lambda output, x: float(x))),
}


def failing_at_2(real, seen):
    """`real`, but raising where what it `seen`s has a 2 in it."""

    def call(*arguments):
        if "2" in str(seen(*arguments)):
            raise ZeroDivisionError("a bug")
        return real(*arguments)

    return call


@pytest.mark.parametrize("stage", FAULTS)
def test_a_bug_is_a_500_of_its_own_row_with_the_request_id_and_is_logged(served, caplog, stage):
    handler, context = served(Scaling)
    FAULTS[stage](handler)
    before, bad, after = post(
        handler, context, ({"x": "1"}, {}), ({"x": "2"}, {"x-request-id": "from-envoy"}), ({"x": "3"}, {})
    )
    assert [json.loads(row[3]).get("prediction") for row in (before, bad, after)] == [3.0, None, 9.0]
    assert bad[0] == (500, "Internal Server Error")
    body = json.loads(bad[3])
    assert (body["code"], body["type"], "from-envoy" in body["message"]) == (500, "InternalServerError", True)
    assert "failed request: from-envoy" in caplog.messages
    assert "ZeroDivisionError: a bug" in caplog.text


def test_a_forward_that_fails_is_tried_again_row_by_row_once(served):
    handler, context = served(Scaling)
    handler.forward = failing_at_2(handler.forward, lambda batch: "2" if len(batch) > 1 else "")
    handler.batches.clear()
    rows = post(handler, context, *(({"x": str(n)}, {}) for n in (1, 2, 3)))
    assert [json.loads(row[3])["prediction"] for row in rows] == [3.0, 6.0, 9.0]
    assert handler.batches == [(1, True)] * 3


def test_a_forward_that_returns_too_few_outputs_is_tried_again_row_by_row(served):
    handler, context = served(Scaling)
    real = handler.forward
    handler.forward = lambda batch: real(batch)[:1]
    rows = post(handler, context, *(({"x": str(n)}, {}) for n in (1, 2)))
    assert [json.loads(row[3])["prediction"] for row in rows] == [3.0, 6.0]


def test_a_bug_in_an_explanation_is_a_500_of_its_own_row(served):
    handler, context = served(Explaining)
    handler.explain = lambda decoded, target: 1 / 0
    bad, good = post(handler, context, ({"x": "2"}, EXPLAIN), ({"x": "1"}, {}))
    assert (bad[0][0], good[0][0]) == (500, 200)


@pytest.mark.parametrize(
    "content", [{"n": object()}, {"n": "\ud800"}, {1j: 2}, None], ids=["object", "surrogate", "key", "none"]
)
def test_a_response_that_cannot_be_written_is_a_500_of_its_own_row(served, monkeypatch, content):
    handler, context = served(Scaling)
    real = handler.encode
    monkeypatch.setattr(handler, "encode", lambda output, x: content if x == 2 else real(output, x))
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad[0][0], good[0][0]) == (500, 200)
    assert "id-0" in json.loads(bad[3])["message"]


def test_an_error_that_ends_the_worker_is_raised_and_logged_with_the_ids_of_the_whole_batch(served, caplog):
    handler, context = served(Scaling)

    def broken(batch):
        raise RuntimeError("CUDA error: device-side assert triggered")

    handler.forward = broken
    with pytest.raises(RuntimeError, match="device-side assert"):
        post(handler, context, ({"x": "1"}, {"x-request-id": "from-envoy"}), ({"x": "1"}, {}))
    assert "failed requests: from-envoy, id-1" in caplog.text


@pytest.mark.parametrize("raised", [MemoryError(), RuntimeError("CUDA out of memory")], ids=str)
def test_a_row_without_memory_harms_itself_alone(served, raised):
    handler, context = served(Scaling)
    real = handler.decode

    def decode(request):
        if request.option("x") == "2":
            raise raised
        return real(request)

    handler.decode = decode
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad[0][0], good[0][0]) == (500, 200)


def test_a_429_has_retry_after(served):
    handler, context = served(Scaling)

    def decode(request):
        raise TooManyRequests("x", "too many of them")

    handler.decode = decode
    ((status, *_, body),) = post(handler, context, ({"x": "2"}, {}))
    assert status == (429, "Too Many Requests")
    assert json.loads(body) == {"code": 429, "type": "TooManyRequests", "message": "too many of them", "field": "x"}
    assert context.get_response_headers(0)["retry-after"] == "1"


def test_an_output_that_is_not_finite_is_an_error_of_its_request_alone(served):
    handler, context = served(Scaling)
    handler.optimized_network = lambda batch: torch.where(batch > 1, float("inf"), batch)
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad.status, bad.prediction) == ((500, "Internal Server Error"), None)
    assert bad.json["message"] == "the network's output is not finite"
    assert good.status == (200, "OK")


def test_nan_in_a_response_is_an_error_of_its_request_alone(served, monkeypatch, caplog):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, decoded: {"n": float("nan") if decoded > 1 else 0})
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad.status[0], good.status[0]) == (500, 200)
    assert bad.json["message"] == "the response has a number that is not finite"
    assert "the response of scale can't be sent: {'model': 'scale', 'version': '2.1', 'n': nan}" in caplog.text


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES, 200), (MAX_BYTES + 1, 500)])
def test_a_response_over_the_limit_is_an_error(served, monkeypatch, size, status):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, decoded: Response(b"x" * size, content_type="text/plain"))
    (response,) = post(handler, context, ({"x": "2"}, {}))
    assert response.status[0] == status
    if status == 500:
        assert response.json["message"] == f"the response of {size} bytes is over the limit of {MAX_BYTES}"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (torch.ones(2, 3), [True, True]),
        (torch.tensor([[1.0, 2.0], [1.0, float("nan")], [float("inf"), 0.0]]), [True, False, False]),
        (torch.tensor([[[1.0], [float("inf")]], [[1.0], [-1.0]]]), [False, True]),
        (torch.tensor([float("inf"), -float("inf"), 1.0]), [False, False, True]),
        (torch.full((2, 1), 3e38), [True, True]),  # each is finite, though their sum overflows
        ([torch.ones(2), torch.tensor([1.0, float("nan")])], [True, False]),
        ([1.0, float("nan"), float("inf"), "text", None], [True, False, False, True, True]),
    ],
)
def test_every_number_of_an_output_must_be_finite(outputs, expected):
    assert finite_outputs(outputs) == expected
