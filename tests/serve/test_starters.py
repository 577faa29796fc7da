"""The trained starter models over HTTP: metrics as in their cards, and bad input, which ends no worker."""

import io
import json
import re
import shutil

import httpx
import pytest
import torch
from PIL import Image
from skimage import data as photos

from handlers.codecs.image import png
from marina.training import evaluation
from marina.training.task import EvaluationRequest
from tests.serve.support.bundle import eventually
from tests.serve.support.real import IMAGES, STARTERS, TABLES, TASK, TEXTS, card_of, send_all
from tests.support.samples import bomb, picture

pytestmark = pytest.mark.serve


def worker_pids(starters, name: str) -> list[tuple[str, int]]:
    """Return the status and the pid of each worker of a model, from TorchServe's management API."""
    url = f"http://127.0.0.1:{starters.settings.management_port}/models/{name}"
    response = httpx.get(url, headers=starters.token("management"), trust_env=False)
    return [(worker["status"], worker["pid"]) for worker in response.json()[0]["workers"]]


@pytest.mark.parametrize("name", STARTERS)
def test_the_metric_over_http_is_the_one_in_the_card(starters, tests_of, name):
    responses = send_all(starters, f"/predictions/{name}", tests_of(name))
    assert {response.status_code for response in responses} == {200}
    measured = evaluation.score(
        name, [request.truth for request in tests_of(name)], [response.json() for response in responses]
    )
    card = card_of(name)
    assert len(responses) == card["data"]["sizes"]["test"]
    assert measured
    for metric, value in measured.items():
        # Batches of other sizes round differently in float32; that may change a regression slightly, but no class.
        assert value == pytest.approx(card["metrics"][metric], abs=1e-4 if TASK[name] == "tabular_regression" else 1e-9)


def test_a_photograph_of_a_cat_is_a_cat(starters):
    """The image is sent as by `curl -T cat.png`, and explained for the class `tabby`, and as a PNG heatmap."""
    cat = png(torch.from_numpy(photos.chelsea()).permute(2, 0, 1))
    best = starters.http.put("/predictions/efficientnet_lite0", content=cat).json()["predictions"]
    assert {row["label"] for row in best[:3]} == {"tabby", "tiger cat", "Egyptian cat"}
    explanation = starters.http.put("/explanations/efficientnet_lite0", content=cat, params={"target": "tabby"}).json()
    assert explanation["target"]["label"] == "tabby"
    accept = {"accept": "image/png"}
    heatmap = starters.http.put("/explanations/efficientnet_lite0", content=cat, headers=accept)
    assert Image.open(io.BytesIO(heatmap.content)).format == "PNG"


def json_request(**members) -> EvaluationRequest:
    return EvaluationRequest(json.dumps(members).encode(), "application/json", None)


def raw_request(body: bytes, content_type: str = "application/octet-stream") -> EvaluationRequest:
    return EvaluationRequest(body, content_type, None)


# By case: the models that it is sent to, the request, and the beginning of the field that the error names.
BAD_INPUTS = {
    "truncated JPEG": (IMAGES, raw_request(picture(kind="JPEG")[:500], "image/jpeg"), "image"),
    "decompression bomb": (IMAGES, raw_request(bomb(), "image/png"), "image"),
    "empty image": (IMAGES, raw_request(b"", "image/png"), "image"),
    "12 numbers": (TABLES, json_request(features=[1] * 12), "features"),
    "NaN": (TABLES, json_request(features=[float("nan"), *[1] * 12]), "features"),
    "text of 1 MB": (TEXTS, json_request(text="好" * 350_000), "text"),
    "empty text": (TEXTS, raw_request(b"", "text/plain"), "text"),
    "truncated JSON": (STARTERS, raw_request(b'{"text": ', "application/json"), "body"),
    "empty body": (STARTERS, raw_request(b""), ""),
}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for case, (names, _, _) in BAD_INPUTS.items() for name in names]
)
def test_bad_input_is_rejected_and_ends_no_worker(starters, name, case):
    _, request, field = BAD_INPUTS[case]
    before = worker_pids(starters, name)
    for endpoint in ("predictions", "explanations"):
        (response,) = send_all(starters, f"/{endpoint}/{name}", [request])
        assert 400 <= response.status_code < 500, response.text
        assert response.json()["code"] == response.status_code
        assert response.json()["field"].startswith(field)
        assert response.json()["message"]
    assert worker_pids(starters, name) == before
    assert before[0][0] == "READY"


@pytest.mark.parametrize("name", STARTERS)
def test_a_body_over_the_limit_gets_a_413_with_json(starters, name):
    (response,) = send_all(starters, f"/predictions/{name}", [raw_request(b"0" * 34_000_000)])
    assert response.status_code == 413
    assert (response.json()["code"], response.json()["field"]) == (413, "body")


def test_one_bad_image_in_a_batch_of_eight_fails_alone(starters, tests_of):
    """TorchServe's API registers lenet with a batch delay of 500 ms, so that eight parallel requests are one batch."""
    management = f"http://127.0.0.1:{starters.settings.management_port}/models"
    token = starters.token("management")
    starters.do("retire", "lenet", "1.0")
    shutil.copy(starters.settings.store / "lenet-1.0.mar", starters.settings.verified)  # as `marina register` does
    options = {"url": "lenet-1.0.mar", "batch_size": 8, "max_batch_delay": 500, "initial_workers": 1}
    with httpx.Client(headers=token, timeout=60, trust_env=False) as client:
        added = client.post(management, params={**options, "synchronous": "true"})
        assert added.status_code == 200, added.text
        try:
            before = worker_pids(starters, "lenet")
            eight = [*tests_of("lenet")[:7], raw_request(picture(kind="JPEG")[:500], "image/jpeg")]
            rotated = [*eight[3:], *eight[:3]]  # the bad one is fifth: valid requests come before and after it
            responses = send_all(starters, "/predictions/lenet", rotated)
            assert sorted(response.status_code for response in responses) == [200] * 7 + [400]
            assert worker_pids(starters, "lenet") == before
        finally:
            client.delete(f"{management}/lenet/1.0").raise_for_status()
    starters.do("register", "lenet", "1.0")
    assert send_all(starters, "/predictions/lenet", tests_of("lenet")[:1])[0].status_code == 200


@pytest.mark.parametrize("name", STARTERS)
def test_metrics_have_labels_for_model_and_version(starters, tests_of, name):
    send_all(starters, f"/predictions/{name}", [tests_of(name)[0], raw_request(b"")])
    labels = rf'ModelName="{name}",ModelVersion="1.0"'
    rejected = rf'^marina_bad_requests_total{{{labels},Field="\w+".*}} [1-9]'
    # A worker reports its counts once a second.
    eventually(
        lambda: re.search(rejected, starters.http.get("/metrics").text, re.MULTILINE), "the bad request is counted"
    )
    text = starters.http.get("/metrics").text
    for stage in ("decode", "forward", "encode", "request"):
        seconds = re.search(rf"^marina_{stage}_seconds_sum{{{labels}.*}} (\S+)$", text, re.MULTILINE)
        assert seconds, f"no marina_{stage}_seconds of {name}"
        assert float(seconds[1]) > 0
    counts = dict(re.findall(rf'^marina_answers_total{{{labels},Status="(\d+)".*}} (\S+)$', text, re.MULTILINE))
    assert float(counts["200"]) >= 1
    assert float(counts["400"]) >= 1
    assert f'ts_inference_requests_total{{model_name="{name}",model_version="1.0"' in text


def test_every_card_is_listed_and_every_model_documented(starters):
    listed = starters.http.get("/v1/models").json()
    assert set(STARTERS) <= {entry["name"] for entry in listed}
    document = starters.http.get("/openapi.json").json()
    for name in STARTERS:
        assert f"/predictions/{name}" in document["paths"]
        assert f"/explanations/{name}" in document["paths"]
        card = starters.http.get(f"/v1/models/{name}").json()
        assert name in json.dumps(card)
        assert card_of(name)["source"] in json.dumps(card, ensure_ascii=False)
    assert starters.http.get("/docs").status_code == 200


def test_requests_with_the_default_content_type_of_curl_are_accepted(starters):
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = json.dumps({"features": [1.0] * 13})
    assert starters.http.post("/predictions/housing_mlp", content=body, headers=form).status_code == 200
    text = '{"text": "房间很好"}'.encode()
    for name in TEXTS:
        assert starters.http.post(f"/predictions/{name}", content=text, headers=form).status_code == 200
    for name in IMAGES:
        assert starters.http.put(f"/predictions/{name}", content=picture()).status_code == 200  # curl -T
        assert starters.http.post(f"/predictions/{name}", files={"image": picture()}).status_code == 200  # curl -F
        assert starters.http.post(f"/predictions/{name}", content=picture(), headers=form).status_code == 200
