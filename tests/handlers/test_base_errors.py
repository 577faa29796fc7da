"""Errors in the base class: bugs, outputs that are not finite, responses that are too large."""

import pytest
import torch

from handlers.base import finite_outputs
from handlers.response import MAX_BYTES, Response
from tests.handlers.scaling import Scaling, post


def test_a_bug_is_raised_and_logged_with_the_ids_of_the_whole_batch(served, monkeypatch, caplog):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, decoded: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        post(handler, context, ({"x": "1"}, {"x-request-id": "from-envoy"}), ({"x": "1"}, {}))
    assert "failed requests: from-envoy, id-1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


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
