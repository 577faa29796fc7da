"""Explanations of the trained models: their formats, and that they fit the models' predictions."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.serve.support.real import DIGITS, TABLES, TEXTS

pytestmark = pytest.mark.serve


@pytest.mark.parametrize("name", DIGITS)
def test_an_image_is_explained_as_a_picture_and_as_json(starters, tests_of, name):
    request = tests_of(name)[0]
    bare = starters.http.post(
        f"/explanations/{name}",
        content=request.body,
        headers={"content-type": request.content_type, "accept": "image/png"},
    )
    assert bare.headers["content-type"] == "image/png"
    assert min(Image.open(io.BytesIO(bare.content)).size) >= 200
    response = starters.http.post(f"/explanations/{name}", content=request.body, params={"target": "3"}).json()
    assert response["target"]["label"] == "3"
    assert response["heatmap"].startswith("iVBOR")


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_that_carry_the_sentiment_have_the_largest_weights(starters, name):
    good, bad = (
        starters.http.post(f"/explanations/{name}", json={"text": text}).json()
        for text in ("房间很干净，服务非常好，推荐", "房间太差，服务恶劣，非常失望")
    )
    assert good["target"]["label"] != bad["target"]["label"]
    for response, expected in ((good, {"干净", "推荐", "好"}), (bad, {"差", "恶劣", "失望", "太差"})):
        heaviest = sorted(response["words"], key=lambda word: -word["weight"])[:3]
        assert expected & {word["word"] for word in heaviest}, response


@pytest.mark.parametrize("name", TABLES)
def test_a_bigger_house_is_explained_as_dearer(starters, tests_of, name):
    columns = json.loads(tests_of(name)[0].body)
    response = starters.http.post(f"/explanations/{name}", json=columns).json()
    weights = {column["column"]: column["weight"] for column in response["columns"]}
    assert len(weights) == 13
    assert response["baseline"] + sum(weights.values()) == pytest.approx(
        response["prediction"], abs=abs(response["convergence_delta"]) + 0.05
    )


@pytest.mark.parametrize("name", DIGITS)
def test_masking_the_pixels_with_the_largest_attribution_costs_the_most(starters, tests_of, name):
    """Masking the 5 % of pixels with the largest attribution lowers the probability more than masking other 5 %."""
    largest, other = [], []
    for request in tests_of(name)[:20]:
        png = starters.http.post(f"/explanations/{name}", content=request.body, headers={"accept": "image/png"}).content
        map_ = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        image = np.array(Image.open(io.BytesIO(request.body)))
        scale = map_.shape[0] // image.shape[0]
        red = (map_[::scale, ::scale, 0] - map_[::scale, ::scale, 2])[: image.shape[0], : image.shape[1]]
        order = np.argsort(red, axis=None)
        count = red.size // 20
        label = starters.http.post(f"/predictions/{name}", content=request.body).json()["predictions"][0]["label"]
        for chosen, drops in ((order[-count:], largest), (order[len(order) // 2 :][:count], other)):
            painted = image.copy().reshape(red.size, -1)
            painted[chosen] = 0
            buffer = io.BytesIO()
            Image.fromarray(painted.reshape(image.shape)).save(buffer, "PNG")
            body = buffer.getvalue()
            response = starters.http.post(f"/predictions/{name}", content=body, params={"top": 10}).json()
            drops.append(1 - next(p["probability"] for p in response["predictions"] if p["label"] == label))
    assert np.mean(largest) > np.mean(other) + 0.02
