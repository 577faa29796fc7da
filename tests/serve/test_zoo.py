"""A model of each task that no starter has: trained for a few steps, packed, served, with requests over HTTP."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

import models
from marina.hosting.host import Host
from marina.packaging.build import build
from marina.training import evaluation, run
from tests import tasks
from tests.serve.support.guide import Reader
from tests.serve.support.real import STARTERS, TASK, post_all, sendable
from tests.support.worker import SampleRequest

pytestmark = pytest.mark.serve
LAST = {models.find(name).task: name for name in models.names()}  # of each task, by name
NAMES = sorted(name for task, name in LAST.items() if task not in TASK.values())
SERVED = [*STARTERS, *NAMES]
AT_ONCE = 8  # requests, so that batches are of several sizes, other ones than offline
LONGEST = 4096  # bytes of a line that TorchServe reads
CLOSE = 2e-3  # of a metric: sums over a batch of another size differ in their last bits, and bf16 has few
EXAMPLES = {"validation": 24, "test": 24}  # fewer than a quick training takes: all responses are compared, too
DIFFERENT = 3  # responses of a model at most: a score beside a threshold falls on its other side
OPTIMIZED = {"image_stylization"}  # over so many steps that the last bits of a sum become pixels


@dataclass
class Zoo:
    """A bundle that runs in its own copy of the checkout.

    `offline` holds the responses of each model to its test split, in training, `ready` the output of `make serve`.
    """

    reader: Reader
    offline: dict[str, list[dict[str, Any]]]
    ready: str

    def card(self, name: str) -> dict[str, Any]:
        return json.loads((self.reader.checkout / "artifacts" / name / "1.0" / "card.json").read_text())

    def send(self, path: str, sent: Sequence[Mapping[str, Any]]) -> list[httpx.Response]:
        return post_all(f"http://127.0.0.1:{self.reader.port}", path, sent, AT_ONCE)


def over_http(request: SampleRequest) -> dict[str, Any]:
    """Return a request as arguments of httpx.

    Options beside a body become query parameters if they fit into a query; otherwise all fields become form parts,
    because an empty option in a query would be dropped.
    """
    fields, headers = dict(request.fields), dict(request.headers)
    query = dict(parse_qsl(headers.pop("x-request-query", "")))
    options = [value for name, value in fields.items() if name != "body"]
    if fields and ("body" not in fields or not all(0 < len(value) < LONGEST for value in options)):
        return {"files": {name: (None, value) for name, value in fields.items()}, "headers": headers, "params": query}
    body = fields.pop("body", b"")
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    query |= {name: value.decode("latin-1") for name, value in fields.items()}
    return {"content": content, "headers": headers, "params": query}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    reader = Reader(tmp_path_factory.mktemp("z"))
    try:
        offline = archive_all(reader.checkout)
        yield Zoo(reader, offline, reader.run(f'make serve MODELS="{" ".join(SERVED)}"'))
    finally:
        reader.stop()


def archive_all(checkout: Path) -> dict[str, list[dict[str, Any]]]:
    """Train and pack all models, and return the responses that they were evaluated on.

    In this process: `make archive` starts two for each model, which takes longer than most of the trainings.
    """
    offline: dict[str, list[dict[str, Any]]] = {}
    real = evaluation.json_responses

    def recorded(host: Host, *rest: Any) -> list[dict[str, Any]]:
        responses = list(real(host, *rest))
        offline.setdefault(host.card["name"], responses)  # later ones are of the example alone
        return responses

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        patch.setattr(run, "QUICK", run.QUICK | EXAMPLES)
        patch.setattr(evaluation, "json_responses", recorded)
        for name in NAMES:
            run.train(name, preset="quick")
            build(name, "1.0", Path("artifacts"), Path("archive/store"), Path("var/keys"), "quick")
    return offline


def test_all_models_are_ready_together(zoo):
    for name in SERVED:
        assert re.search(rf"^│ {name} +│ 1.0 +│ ready ", zoo.ready, re.MULTILINE), name
    match = re.search(r"^(\d+) of (\d+) ready after .*; each worker has (\d+) MB", zoo.ready, re.MULTILINE)
    ready, served, megabytes = match.groups()
    assert int(ready) == int(served) == len(SERVED)
    assert 10 < int(megabytes) < 150


@pytest.mark.parametrize("name", NAMES)
def test_responses_and_metric_over_http_are_those_of_the_evaluation(zoo, name):
    card, numbers = zoo.card(name), tasks.find(models.find(name).task).numbers
    sent = list(evaluation.requests_of(name, sizes=card["data"]["sizes"]))
    responses = zoo.send(f"/predictions/{name}", [sendable(request, card["options"]) for request in sent])
    assert {response.status_code for response in responses} == {200}, next(
        r.text for r in responses if r.status_code != 200
    )
    measured = evaluation.score(name, [request.truth for request in sent], [response.json() for response in responses])
    assert measured
    for metric, value in measured.items():
        assert value == pytest.approx(card["metrics"][metric], abs=CLOSE), metric
    if models.find(name).task in OPTIMIZED:
        return
    pairs = [
        (numbers(offline), numbers(response.json()))
        for offline, response in zip(zoo.offline[name], responses, strict=True)
    ]
    different = [(offline, served) for offline, served in pairs if served != pytest.approx(offline, abs=CLOSE)]
    assert len(different) <= min(DIFFERENT, len(pairs) // 3), different[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_explanation_or_a_400_with_the_reason_is_returned(zoo, name):
    card = zoo.card(name)
    (response,) = zoo.send(
        f"/explanations/{name}", [sendable(next(evaluation.requests_of(name, limit=1)), card["options"])]
    )
    if "explain" not in card:
        assert (response.status_code, response.json()["field"]) == (400, "explain")
        assert len(response.json()["message"]) > 20
    elif card["explain"]["cost"] is None:  # hardly trained, it finds nothing
        assert (response.status_code, response.json()["field"]) == (400, "image")
        assert "nothing to explain" in response.json()["message"]
    else:
        assert response.status_code == 200, response.text
        assert response.json()["model"] == name


@pytest.mark.parametrize("name", NAMES)
def test_bad_requests_are_rejected_and_good_ones_beside_them_succeed(zoo, name):
    bad = {
        case: (over_http(request), field)
        for case, (request, field) in tasks.find(models.find(name).task).BAD.items()
        if "explain" not in request.headers
    }
    good = sendable(next(evaluation.requests_of(name, limit=1)))
    responses = zoo.send(f"/predictions/{name}", [one for request, _ in bad.values() for one in (request, good)])
    assert {response.status_code for response in responses[1::2]} == {200}
    for response, (case, (_, field)) in zip(responses[::2], bad.items(), strict=True):
        assert response.status_code == 400, f"{case}: {response.text[:200]}"
        found = response.json()["field"]
        if name == "table":  # the sample requests are of another table than the embedded one: any of their columns
            assert found.partition(".")[0] in ("features", "top"), case
        else:
            assert found == field, case
