"""Each handler, for each model of its task: responses, refusals, and the independence of requests in a batch."""

import base64
import io
from functools import cache

import pytest
import torch
from jsonschema import validate
from PIL import Image

import models
from marina.handler_lookup import handler_class
from tests import tasks
from tests.support.samples import picture
from tests.support.worker import SampleRequest, SampleResponse

NAMES = models.names()
TASK = {name: models.find(name).task for name in NAMES}
EXPLAIN = {"explain": "True"}
EXPLAINED = [name for name in NAMES if handler_class(TASK[name]).explanation_schema is not None]


def explain_request(request: SampleRequest, **headers: str) -> SampleRequest:
    return SampleRequest(request.fields, {**request.headers, **EXPLAIN, **headers})


def cases(table):
    """Return each case of each model's task; `table` is GOOD or BAD."""
    found = ((name, case) for name in NAMES for case in getattr(tasks.find(TASK[name]), table))
    return [pytest.param(name, case, id=f"{name}-{case}") for name, case in found]


@pytest.fixture(scope="module")
def alone(worker):
    """Function `alone(name, case)`: the response to a good request, which is sent once, in a batch of its own."""

    @cache
    def of(name: str, case: str) -> SampleResponse:
        (response,) = worker(name).send(tasks.find(TASK[name]).GOOD[case])
        return response

    return of


@pytest.mark.parametrize(("name", "case"), cases("GOOD"))
def test_a_good_request_gets_a_response_that_fits_the_schema(worker, alone, name, case):
    got = alone(name, case)
    assert (got.status, got.content_type) == (200, "application/json"), got.body
    validate(got.json, worker(name).handler.response_schema)
    assert (got.json["model"], got.json["version"]) == (name, "1.0")


@pytest.mark.parametrize(("name", "case"), cases("BAD"))
def test_a_bad_request_names_the_field_and_harms_itself_alone(worker, alone, name, case):
    numbers, (request, field) = tasks.find(TASK[name]).numbers, tasks.find(TASK[name]).BAD[case]
    undisturbed = alone(name, next(iter(tasks.find(TASK[name]).GOOD)))
    before, bad, after = worker(name).send(tasks.example(TASK[name]), request, tasks.example(TASK[name]))
    assert bad.status == 400
    assert (bad.json["code"], bad.json["type"], bad.json["field"]) == (400, "BadRequest", field)
    assert bad.json["message"]
    for good in (before, after):
        assert good.status == 200
        assert numbers(good.json) == pytest.approx(numbers(undisturbed.json), abs=1e-4)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(EXPLAINED)))
def test_the_reason_for_no_explanation_is_returned(worker, name):
    request = tasks.example(TASK[name])
    bad, good = worker(name).send(explain_request(request), request)
    assert (bad.status, bad.json["field"], good.status) == (400, "explain", 200)
    assert bad.json["message"] == worker(name).handler.no_explanation_reason


@pytest.mark.parametrize("name", EXPLAINED)
def test_one_batch_may_mix_predictions_and_explanations(worker, name):
    fine, handler = tasks.example(TASK[name]), worker(name).handler
    before, explanation, after = worker(name).send(fine, explain_request(fine), fine)
    for response, schema in (
        (before, handler.response_schema),
        (explanation, handler.explanation_schema),
        (after, handler.response_schema),
    ):
        assert response.status == 200, response.body
        validate(response.json, schema)


@pytest.mark.parametrize("name", EXPLAINED)
def test_an_explanation_of_something_unknown_is_refused(worker, name):
    request = explain_request(tasks.example(TASK[name]))
    unknown = [
        SampleRequest({**request.fields, "target": target}, request.headers) for target in ("no such thing", "9" * 5000)
    ]
    good, words, digits = worker(name).send(request, *unknown)
    validate(good.json, worker(name).handler.explanation_schema)
    for bad in (words, digits):
        assert (bad.status, bad.json["field"]) == (400, "target")


@pytest.mark.parametrize("name", NAMES)
def test_a_response_does_not_depend_on_the_rest_of_the_batch(worker, alone, name):
    numbers, requests = tasks.find(TASK[name]).numbers, tasks.find(TASK[name]).GOOD
    together = worker(name).send(*requests.values())
    for case, response in zip(requests, together, strict=True):
        assert numbers(response.json) == pytest.approx(numbers(alone(name, case).json), abs=1e-4), case


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_is_not_finite_is_refused_alone(worker, name, monkeypatch):
    handler, calls = worker(name).handler, []
    real = handler.optimized_network

    def broken(*batch):
        outputs = real(*batch)
        scores, *state = outputs if isinstance(outputs, tuple) else (outputs,)
        if not calls:
            scores = scores.clone()
            scores[0] = float("nan")
        calls.append(batch)
        return (scores, *state) if state else scores

    monkeypatch.setattr(handler, "optimized_network", broken)
    bad, good = worker(name).send(tasks.example(TASK[name]), tasks.example(TASK[name]))
    assert (bad.status, good.status) == (500, 200)
    assert "not finite" in bad.json["message"]


def test_an_explanation_that_is_not_finite_is_refused_alone(worker, monkeypatch):
    monkeypatch.setattr(worker("lenet").handler, "explain", lambda decoded, target: {"convergence_delta": float("nan")})
    fine = tasks.example("image_classification")
    bad, good = worker("lenet").send(explain_request(fine), fine)
    assert (bad.status, good.status) == (500, 200)
    assert "not finite" in bad.json["message"]


def test_a_bug_is_a_500_and_is_logged_with_the_request_id(worker, monkeypatch, caplog):
    def buggy(decoded, output):
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker("lenet").handler, "encode", buggy)
    fields = tasks.example("image_classification").fields
    (got,) = worker("lenet").send(SampleRequest(fields, {"x-request-id": "from-envoy"}))
    assert got.status == 500
    assert "from-envoy" in got.json["message"]
    assert "failed request: from-envoy" in caplog.text


def test_a_response_over_the_limit_does_not_kill_the_worker(worker, monkeypatch):
    monkeypatch.setattr(worker("lenet").handler, "encode", lambda output, decoded: {"x": "x" * 7_000_000})
    (got,) = worker("lenet").send(tasks.example("image_classification"))
    assert got.status == 500
    assert "over the limit" in got.json["message"]


def test_top_limits_the_classes_and_they_are_in_order(worker):
    for query, count in (("", 5), ("top=1", 1), ("a=b&top=10", 10), ("top=99", 10)):
        (response,) = worker("resnet18").send(SampleRequest({"body": picture()}, {"x-request-query": query}))
        probabilities = [p["probability"] for p in response.json["predictions"]]
        assert len(probabilities) == count
        assert probabilities == sorted(probabilities, reverse=True)
        assert count < 10 or sum(probabilities) == pytest.approx(1, abs=1e-4)


def test_attributions_of_an_image_add_up_and_come_as_a_picture(worker):
    request = SampleRequest({"body": picture(), "target": b"3"}, EXPLAIN)
    (response,) = worker("digits_cnn").send(request)
    assert response.json["target"]["label"] == "3"
    assert abs(response.json["convergence_delta"]) < 0.5
    in_json = base64.b64decode(response.json["heatmap"])
    (bare,) = worker("digits_cnn").send(SampleRequest(request.fields, {**EXPLAIN, "accept": "image/png"}))
    assert bare.content_type == "image/png"
    assert bare.body == in_json
    assert min(Image.open(io.BytesIO(bare.body)).size) >= 200


def test_weights_of_a_table_add_up_to_the_prediction(worker):
    (response,) = worker("housing_mlp").send(explain_request(tasks.example("tabular_regression")))
    total = response.json["baseline"] + sum(column["weight"] for column in response.json["columns"])
    assert [column["column"] for column in response.json["columns"]] == [f"C{i}" for i in range(13)]
    assert total == pytest.approx(response.json["prediction"], abs=abs(response.json["convergence_delta"]) + 1e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if TASK[name] == "text_classification"])
def test_weights_of_words_are_in_order_and_add_up(worker, name):
    handler = worker(name).handler
    (response,) = worker(name).send(explain_request(SampleRequest({"body": {"text": "房间很好，服务的不错蛐蛐"}})))
    words = handler.codec.words("房间很好，服务的不错蛐蛐")
    assert [word["word"] for word in response.json["words"]] == words
    assert {word["word"]: word["known"] for word in response.json["words"]}[handler.codec.split("房间")[0]] is True
    assert not all(word["known"] for word in response.json["words"])
    ids = handler.codec.numbers(words).unsqueeze(0)
    number = handler.labels.index(response.json["target"]["label"])
    with torch.inference_mode():
        logit, unsaid = handler.network(ids)[0, number], handler.network.embedding(torch.zeros_like(ids))
        hook = handler.network.embedding.register_forward_hook(lambda *_: unsaid)  # every word is padding
        baseline = handler.network(ids)[0, number]
        hook.remove()
    total = sum(word["weight"] for word in response.json["words"])
    assert total == pytest.approx(float(logit - baseline), abs=0.05)
    assert response.json["convergence_delta"] == pytest.approx(total - float(logit - baseline), abs=1e-3)
