"""Image translation: in the requested direction, whole and in proportion, as JSON or as a PNG."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

import models
from tests.support.samples import picture
from tests.support.worker import SampleRequest

NAMES = [name for name in models.names() if models.find(name).task == "image_translation"]


def request(to: str, **headers: str) -> SampleRequest:
    return SampleRequest({"image": picture(), "to": to.encode()}, headers)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_may_mix_directions(worker, name):
    alone = {to: worker(name).send(request(to))[0].json for to in ("A", "B")}
    mixed = worker(name).send(request("A"), request("B"), request("B"), request("A"))
    for to, response in zip("ABBA", mixed, strict=True):
        assert response.json["to"] == to
        close(response.json["image"], alone[to]["image"])
    assert alone["A"]["image"] != alone["B"]["image"]


def close(one: str, other: str) -> None:
    """Assert that both are the same picture; another batch may round a pixel the other way."""
    first, second = (np.asarray(opened(base64.b64decode(image)), dtype=int) for image in (one, other))
    assert first.shape == second.shape
    assert abs(first - second).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_same_input_gives_the_same_output(worker, name):
    assert worker(name).send(request("A"))[0].body == worker(name).send(request("A"))[0].body


@pytest.mark.parametrize("name", NAMES)
def test_the_default_direction_is_the_last_domain(worker, name):
    (response,) = worker(name).send(SampleRequest({"body": picture()}))
    assert response.json == worker(name).send(request("B"))[0].json


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sent", "back"), [((48, 32), (1, 2 / 3)), ((20, 50), (0.4, 1)), ((64, 64), (1, 1))])
def test_the_whole_image_comes_back_in_its_proportions(worker, name, sent, back):
    size = models.find(name).input["size"]
    (response,) = worker(name).send(SampleRequest({"body": picture(size=sent)}, {"accept": "image/png"}))
    assert response.content_type == "image/png"
    assert opened(response.body).size == tuple(round(share * size) for share in back)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_the_one_in_the_json(worker, name):
    (bare,), (in_json,) = (worker(name).send(request("A", **headers)) for headers in ({"accept": "image/png"}, {}))
    assert bare.body == base64.b64decode(in_json.json["image"])


@pytest.mark.parametrize("name", NAMES)
def test_each_direction_has_its_own_generator(worker, name):
    """The response is the output of that generator, pixel by pixel."""
    handler = worker(name).handler
    square = handler.codec.letterbox(picture(size=(32, 32)))
    batch = handler.codec.normalize(square.pixels.unsqueeze(0))
    for to, generator in (("A", handler.network.to_a), ("B", handler.network.to_b)):
        (response,) = worker(name).send(
            SampleRequest({"image": picture(size=(32, 32)), "to": to.encode()}, {"accept": "image/png"})
        )
        made = handler.codec.pixels_of(generator(batch)[0]).permute(1, 2, 0).numpy().astype(int)
        assert abs(made - np.asarray(opened(response.body), dtype=int)).max() <= 1
