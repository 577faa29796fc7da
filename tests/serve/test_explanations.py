"""The trained models say why, and what they say is true of them."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.serve.real import IMAGES, TABLES, TEXTS

pytestmark = pytest.mark.serve


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_explained_as_a_picture_and_as_json(starters, tests_of, name):
    request = tests_of(name)[0]
    bare = starters.http.post(
        f"/explanations/{name}",
        content=request.body,
        headers={"content-type": request.content_type, "accept": "image/png"},
    )
    assert bare.headers["content-type"] == "image/png"
    assert min(Image.open(io.BytesIO(bare.content)).size) >= 200
    reply = starters.http.post(f"/explanations/{name}", content=request.body, params={"target": "3"}).json()
    assert reply["target"]["label"] == "3"
    assert reply["heatmap"].startswith("iVBOR")


@pytest.mark.parametrize("name", TEXTS)
def test_the_telling_words_weigh_most(starters, name):
    good, bad = (
        starters.http.post(f"/explanations/{name}", json={"text": text}).json()
        for text in ("房间很干净，服务非常好，推荐", "房间太差，服务恶劣，非常失望")
    )
    assert good["target"]["label"] != bad["target"]["label"]
    for reply, expected in ((good, {"干净", "推荐", "好"}), (bad, {"差", "恶劣", "失望", "太差"})):
        heaviest = sorted(reply["words"], key=lambda word: -word["weight"])[:3]
        assert expected & {word["word"] for word in heaviest}, reply


@pytest.mark.parametrize("name", TABLES)
def test_a_bigger_house_is_explained_as_dearer(starters, tests_of, name):
    columns = json.loads(tests_of(name)[0].body)
    reply = starters.http.post(f"/explanations/{name}", json=columns).json()
    weights = {column["column"]: column["weight"] for column in reply["columns"]}
    assert len(weights) == 13
    assert reply["baseline"] + sum(weights.values()) == pytest.approx(
        reply["prediction"], abs=abs(reply["convergence_delta"]) + 0.05
    )


@pytest.mark.parametrize("name", IMAGES)
def test_what_the_heat_map_points_at_is_what_counts(starters, tests_of, name):
    """Painting over the pixels that speak loudest for the class costs more than painting over as many others."""
    loud, other = [], []
    for request in tests_of(name)[:20]:
        png = starters.http.post(f"/explanations/{name}", content=request.body, headers={"accept": "image/png"}).content
        map_ = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        image = np.array(Image.open(io.BytesIO(request.body)))
        scale = map_.shape[0] // image.shape[0]
        red = (map_[::scale, ::scale, 0] - map_[::scale, ::scale, 2])[: image.shape[0], : image.shape[1]]
        order = np.argsort(red, axis=None)
        count = red.size // 20
        label = starters.http.post(f"/predictions/{name}", content=request.body).json()["predictions"][0]["label"]
        for chosen, drops in ((order[-count:], loud), (order[len(order) // 2 :][:count], other)):
            painted = image.copy().reshape(red.size, -1)
            painted[chosen] = 0
            buffer = io.BytesIO()
            Image.fromarray(painted.reshape(image.shape)).save(buffer, "PNG")
            body = buffer.getvalue()
            answers = starters.http.post(f"/predictions/{name}", content=body, params={"top": 10}).json()["predictions"]
            drops.append(1 - next(a["probability"] for a in answers if a["label"] == label))
    assert np.mean(loud) > np.mean(other) + 0.02
