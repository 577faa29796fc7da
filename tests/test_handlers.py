"""Each handler, for each model of its task: what is answered, what is refused, and that rows do not mix."""

import base64
import io

import pytest
import torch
from jsonschema import validate
from PIL import Image

import models
from archive.inputs import handler_class
from tests import tasks
from tests.samples import picture
from tests.worker import Ask

NAMES = models.names()
TASK = {name: models.find(name).task for name in NAMES}
EXPLAIN = {"explain": "True"}
EXPLAINED = [name for name in NAMES if handler_class(TASK[name]).EXPLANATION is not None]


def asked_why(ask: Ask, **headers: str) -> Ask:
    return Ask(ask.fields, {**ask.headers, **EXPLAIN, **headers})


def cases(table):
    """Each case of each model's task; `table` is GOOD or BAD."""
    found = ((name, case) for name in NAMES for case in getattr(tasks.find(TASK[name]), table))
    return [pytest.param(name, case, id=f"{name}-{case}") for name, case in found]


@pytest.mark.parametrize(("name", "case"), cases("GOOD"))
def test_a_good_request_is_answered_as_the_schema_says(worker, name, case):
    (got,) = worker(name).ask(tasks.find(TASK[name]).GOOD[case])
    assert (got.status, got.content_type) == (200, "application/json"), got.body
    validate(got.json, worker(name).handler.REPLY)
    assert (got.json["model"], got.json["version"]) == (name, "1.0")


@pytest.mark.parametrize(("name", "case"), cases("BAD"))
def test_a_bad_request_names_the_field_and_leaves_its_neighbours_alone(worker, name, case):
    numbers, (ask, field) = tasks.find(TASK[name]).numbers, tasks.find(TASK[name]).BAD[case]
    (alone,) = worker(name).ask(tasks.example(TASK[name]))
    before, bad, after = worker(name).ask(tasks.example(TASK[name]), ask, tasks.example(TASK[name]))
    assert bad.status == 400
    assert (bad.json["code"], bad.json["type"], bad.json["field"]) == (400, "BadRequest", field)
    assert bad.json["message"]
    for good in (before, after):
        assert good.status == 200
        assert numbers(good.json) == pytest.approx(numbers(alone.json), abs=1e-4)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(EXPLAINED)))
def test_what_has_no_explanation_says_so(worker, name):
    ask = tasks.example(TASK[name])
    bad, good = worker(name).ask(asked_why(ask), ask)
    assert (bad.status, bad.json["field"], good.status) == (400, "explain", 200)
    assert bad.json["message"] == worker(name).handler.NOT_EXPLAINED


@pytest.mark.parametrize("name", EXPLAINED)
def test_one_batch_may_mix_predictions_and_explanations(worker, name):
    fine = tasks.example(TASK[name])
    for order in ([fine, asked_why(fine)], [asked_why(fine), fine]):
        replies = worker(name).ask(*order)
        assert [reply.status for reply in replies] == [200, 200]
        for ask, reply in zip(order, replies, strict=True):
            wanted = worker(name).handler.EXPLANATION if ask.headers.get("explain") else worker(name).handler.REPLY
            validate(reply.json, wanted)


@pytest.mark.parametrize("target", ["no such thing", "9" * 5000], ids=["words", "digits"])
@pytest.mark.parametrize("name", EXPLAINED)
def test_an_explanation_of_something_unknown_is_refused(worker, name, target):
    ask = asked_why(tasks.example(TASK[name]))
    good, bad = worker(name).ask(ask, Ask({**ask.fields, "target": target}, ask.headers))
    assert good.status == 200
    assert (bad.status, bad.json["field"]) == (400, "target")


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_the_rest_of_the_batch(worker, name):
    numbers, asks = tasks.find(TASK[name]).numbers, list(tasks.find(TASK[name]).GOOD.values())
    together = worker(name).ask(*asks)
    for ask, reply in zip(asks, together, strict=True):
        (alone,) = worker(name).ask(ask)
        assert numbers(reply.json) == pytest.approx(numbers(alone.json), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_is_not_finite_is_refused_alone(worker, name, monkeypatch):
    handler, calls = worker(name).handler, []
    real = handler.run

    def broken(*batch):
        outputs = real(*batch)
        scores, *state = outputs if isinstance(outputs, tuple) else (outputs,)
        if not calls:
            scores = scores.clone()
            scores[0] = float("nan")
        calls.append(batch)
        return (scores, *state) if state else scores

    monkeypatch.setattr(handler, "run", broken)
    bad, good = worker(name).ask(tasks.example(TASK[name]), tasks.example(TASK[name]))
    assert (bad.status, good.status) == (500, 200)
    assert "not finite" in bad.json["message"]


def test_an_explanation_that_is_not_finite_is_refused_alone(worker, monkeypatch):
    monkeypatch.setattr(worker("lenet").handler, "explain", lambda item, target: {"convergence_delta": float("nan")})
    fine = tasks.example("image_classification")
    bad, good = worker("lenet").ask(asked_why(fine), fine)
    assert (bad.status, good.status) == (500, 200)
    assert "not finite" in bad.json["message"]


def test_a_bug_fails_the_batch_and_is_logged_with_the_request_ids(worker, monkeypatch, caplog):
    handler = worker("lenet").handler

    def buggy(item, output):
        raise RuntimeError("a bug")

    monkeypatch.setattr(handler, "encode", buggy)
    with pytest.raises(RuntimeError, match="a bug"):
        worker("lenet").ask(Ask(tasks.example("image_classification").fields, {"x-request-id": "from-envoy"}))
    assert "from-envoy" in caplog.text


def test_a_reply_over_the_limit_is_an_error_and_not_a_dead_worker(worker, monkeypatch):
    monkeypatch.setattr(worker("lenet").handler, "encode", lambda output, item: {"x": "x" * 7_000_000})
    (got,) = worker("lenet").ask(tasks.example("image_classification"))
    assert got.status == 500
    assert "over the limit" in got.json["message"]


def test_top_limits_the_classes_and_they_are_in_order(worker):
    for query, count in (("", 5), ("top=1", 1), ("a=b&top=10", 10), ("top=99", 10)):
        (reply,) = worker("resnet18").ask(Ask({"body": picture()}, {"x-request-query": query}))
        probabilities = [p["probability"] for p in reply.json["predictions"]]
        assert len(probabilities) == count
        assert probabilities == sorted(probabilities, reverse=True)
        assert count < 10 or sum(probabilities) == pytest.approx(1, abs=1e-4)


def test_attributions_of_an_image_add_up_and_come_as_a_picture(worker):
    ask = Ask({"body": picture(), "target": b"3"}, EXPLAIN)
    (reply,) = worker("digits_cnn").ask(ask)
    assert reply.json["target"]["label"] == "3"
    assert abs(reply.json["convergence_delta"]) < 0.5
    in_json = base64.b64decode(reply.json["heatmap"])
    (bare,) = worker("digits_cnn").ask(Ask(ask.fields, {**EXPLAIN, "accept": "image/png"}))
    assert bare.content_type == "image/png"
    assert bare.body == in_json
    assert min(Image.open(io.BytesIO(bare.body)).size) >= 200


def test_weights_of_a_table_add_up_to_the_prediction(worker):
    (reply,) = worker("housing_mlp").ask(asked_why(tasks.example("tabular_regression")))
    total = reply.json["baseline"] + sum(column["weight"] for column in reply.json["columns"])
    assert [column["column"] for column in reply.json["columns"]] == [f"C{i}" for i in range(13)]
    assert total == pytest.approx(reply.json["prediction"], abs=abs(reply.json["convergence_delta"]) + 1e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if TASK[name] == "text_classification"])
def test_weights_of_words_are_in_order_and_add_up(worker, name):
    handler = worker(name).handler
    (reply,) = worker(name).ask(asked_why(Ask({"body": {"text": "房间很好，服务的不错蛐蛐"}})))
    words = handler.codec.words("房间很好，服务的不错蛐蛐")
    assert [word["word"] for word in reply.json["words"]] == words
    assert {word["word"]: word["known"] for word in reply.json["words"]}[handler.codec.split("房间")[0]] is True
    assert not all(word["known"] for word in reply.json["words"])
    ids = handler.codec.numbers(words).unsqueeze(0)
    number = handler.labels.index(reply.json["target"]["label"])
    with torch.inference_mode():
        logit, unsaid = handler.network(ids)[0, number], handler.network.embedding(torch.zeros_like(ids))
        hook = handler.network.embedding.register_forward_hook(lambda *_: unsaid)  # every word is padding
        baseline = handler.network(ids)[0, number]
        hook.remove()
    total = sum(word["weight"] for word in reply.json["words"])
    assert total == pytest.approx(float(logit - baseline), abs=0.05)
    assert reply.json["convergence_delta"] == pytest.approx(total - float(logit - baseline), abs=1e-3)
