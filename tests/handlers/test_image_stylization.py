"""Style transfer: the loss falls, the same request gives the same picture, and the reported losses are true."""

import base64
import io

import pytest
import torch
from PIL import Image

import models
from handlers.codecs.image import png
from handlers.codecs.image_file import read_pixels
from handlers.request import Request
from handlers.vision.style_optimization import gram_matrix, relative_error
from marina.training import pretrained
from marina.training.pretrained.image_backbones import BGR_MEAN, MEAN, STD, adapted_to_rgb
from tests.support.samples import picture
from tests.support.worker import SampleRequest
from tests.tasks.image_stylization import OTHER, PHOTO, stylization_request

NAME = "style_transfer"
FORM = {"image": PHOTO, "style": OTHER, "steps": b"3", "size": b"64"}


@pytest.fixture(scope="module")
def published(worker):
    """The worker with the published weights."""
    made = worker(NAME)
    pretrained.load(made.handler.network, models.find(NAME).recipe.pretrained)
    return made


def test_the_losses_fall(published):
    request = stylization_request(steps=12)
    job = published.handler.begin(published.handler.decode(Request(request.fields, request.headers, "id")))
    lines = [job.step() for _ in range(12)]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert job.done
    losses = [line["loss"] for line in lines]
    assert losses[-1] < losses[0] / 2
    found = job.losses()
    assert found["before"]["content"] == 0
    assert found["after"]["style"] < found["before"]["style"] / 2


def test_the_losses_are_those_of_the_returned_picture(published):
    network, codec = published.handler.network, published.handler.codec
    (response,) = published.send(SampleRequest(FORM))
    sent = codec.normalize(read_pixels(base64.b64decode(response.json["image"]), 3)).unsqueeze(0)
    content = codec.normalize(codec.picture(PHOTO, 64, "image")[0]).unsqueeze(0)
    style = codec.normalize(codec.picture(OTHER, 64, "style")[0]).unsqueeze(0)
    maps = [network.split(network(x), *x.shape[2:]) for x in (sent, content, style)]
    after = response.json["losses"]["after"]
    assert after["content"] == pytest.approx(float(relative_error(maps[0]["conv3_3"], maps[1]["conv3_3"])), abs=1e-5)
    styles = [relative_error(gram_matrix(maps[0][layer]), gram_matrix(maps[2][layer])) for layer in network.STYLE]
    assert after["style"] == pytest.approx(float(sum(styles)) / 4, abs=1e-5)


def test_the_same_request_gives_the_same_picture_and_another_style_another(published):
    first, again, other = published.send(
        SampleRequest(FORM), SampleRequest(FORM), SampleRequest({**FORM, "style": b"noise"})
    )
    assert first.body == again.body
    assert first.json["image"] != other.json["image"]


def test_a_png_is_returned_on_request(published):
    in_json, bare = published.send(SampleRequest(FORM), SampleRequest(FORM, {"accept": "image/png"}))
    assert bare.content_type == "image/png"
    assert bare.body == base64.b64decode(in_json.json["image"])


def test_an_enormous_image_is_scaled_down_and_its_size_reported(published):
    flat = png(torch.full((3, 3000, 4000), 90, dtype=torch.uint8))
    (got,) = published.send(SampleRequest({"image": flat, "style": b"grey", "steps": b"1", "size": b"64"}))
    assert (got.json["sent"], got.json["size"]) == ([4000, 3000], [64, 48])
    assert Image.open(io.BytesIO(base64.b64decode(got.json["image"]))).size == (64, 48)


@pytest.mark.parametrize("side", [(64, 16), (16, 64), (2, 3)])
def test_pictures_of_all_shapes(published, side):
    (got,) = published.send(
        SampleRequest({"image": picture(size=side), "style": b"noise", "steps": b"1", "size": b"64"})
    )
    assert got.status == 200
    assert max(got.json["size"]) == 64


def test_a_flat_picture_has_a_style_too(published):
    """The Gram matrices of a flat style are zero: no division by zero."""
    black = png(torch.zeros(3, 20, 20, dtype=torch.uint8))
    (got,) = published.send(SampleRequest({"image": black, "style": black, "steps": b"2", "size": b"64"}))
    assert got.status == 200


def test_the_limit_is_named(published):
    (got,) = published.send(stylization_request(steps=10_000))
    assert "from 1 to 500" in got.json["message"]


def test_the_first_layer_computes_what_the_published_one_did():
    """Compare RGB as normalized by the codec with BGR minus the mean, away from the border."""
    torch.manual_seed(0)
    weight, bias, pixels = torch.randn(4, 3, 3, 3), torch.randn(4), torch.randint(0, 256, (1, 3, 8, 8)).float()
    theirs = torch.nn.functional.conv2d(pixels.flip(1) - BGR_MEAN.view(1, 3, 1, 1), weight, bias)
    ours = (pixels / 255 - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)
    made = adapted_to_rgb(weight, bias)
    found = torch.nn.functional.conv2d(ours, made["block1.0.weight"], made["block1.0.bias"])
    torch.testing.assert_close(found, theirs, atol=0.01, rtol=1e-4)
