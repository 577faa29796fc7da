"""Tags of an image by a network that is linear: probabilities, thresholds, and the attributions of one label."""

import pytest
import torch

from handlers.base import NOT_FINITE
from handlers.codecs.image import ImageCodec, png
from handlers.errors import BadRequest
from handlers.image_tagging import ImageTagging
from handlers.response import Response
from handlers.vision.drawing import heatmap
from handlers.vision.tags import TaggingInput, tags_over
from tests.support.bare import PNG, Linear, bare, make_request, pixels_of, same_picture

LABELS = ["猫", "狗", "鸟"]


@pytest.fixture
def handler(tmp_path) -> ImageTagging:
    torch.manual_seed(0)
    codec = ImageCodec(4, 3, (0.5, 0.25, 0.75), (0.2, 0.3, 0.4))
    return bare(ImageTagging, tmp_path, codec, Linear(torch.randn(3, 3, 4, 4)), LABELS)


def picture() -> torch.Tensor:
    return torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_request_has_pixels_a_threshold_and_an_accepted_type(handler):
    plain = handler.decode(make_request({"image": png(picture())}))
    assert (plain.threshold, plain.as_png) == (0.5, False)
    assert torch.equal(plain.pixels, picture())
    given = handler.decode(make_request({"body": png(picture()), "threshold": b"0"}, PNG))
    assert (given.threshold, given.as_png) == (0, True)
    assert handler.decode(make_request({"body": png(picture()), "threshold": b"1"})).threshold == 1
    for outside in (b"-0.1", b"1.1", b"x"):
        with pytest.raises(BadRequest) as refused:
            handler.decode(make_request({"body": png(picture()), "threshold": outside}))
        assert refused.value.field == "threshold"
    batch = handler.collate([plain, given])
    assert batch.shape == (2, 3, 4, 4)
    torch.testing.assert_close(batch[1], handler.codec.normalize(picture()))


def test_every_label_has_a_probability_of_its_own(handler):
    output = torch.tensor([0.3, 0.9, 0.5]).logit()
    assert handler.encode(output, TaggingInput(picture(), 0.4, False)) == {
        "tags": [
            {"label": "狗", "probability": pytest.approx(0.9, abs=1e-6)},
            {"label": "鸟", "probability": pytest.approx(0.5, abs=1e-6)},
        ],
        "threshold": 0.4,
    }
    assert handler.encode(output, TaggingInput(picture(), 0.95, False))["tags"] == []
    for broken in (torch.nan, torch.inf):
        output = torch.tensor([0.0, broken, 0.0])
        assert handler.encode(output, TaggingInput(picture(), 0.4, False)) is NOT_FINITE


def test_a_tag_is_returned_from_the_threshold_on_in_order_of_labels_if_equal():
    probabilities = torch.tensor([0.5, 0.123456789, 0.75, 0.5])
    names = [(tag["label"], tag["probability"]) for tag in tags_over(probabilities, "abcd", 0)]
    assert names == [("c", 0.75), ("a", 0.5), ("d", 0.5), ("b", 0.123457)]
    assert [tag["label"] for tag in tags_over(probabilities, "abcd", 0.5)] == ["c", "a", "d"]


def test_attributions_of_a_label_start_from_black(handler):
    network, codec = handler.network, handler.codec
    decoded = TaggingInput(picture(), 0.5, as_png=False)
    x = codec.normalize(picture())
    black = codec.normalize(torch.zeros(3, 4, 4, dtype=torch.uint8))
    probabilities = network(x[None])[0].sigmoid().tolist()
    best = max(range(3), key=probabilities.__getitem__)
    for target, number in ((None, best), ("猫", 0), ("狗", 1), ("鸟", 2)):
        network.sizes.clear()
        response = handler.explain(decoded, target)
        assert response["target"] == {
            "label": LABELS[number],
            "probability": pytest.approx(probabilities[number], abs=1e-6),
        }
        assert response["target"]["probability"] == round(response["target"]["probability"], 6)
        assert response["convergence_delta"] == pytest.approx(0, abs=1e-3)
        weights = (network.weights[number] * (x - black)).sum(dim=0).detach()
        same_picture(response["heatmap"], heatmap(picture(), weights))
        assert (network.sizes[0], max(network.sizes), sum(network.sizes)) == (1, 3, 1 + 8 + 2)
    only = handler.explain(TaggingInput(picture(), 0.5, as_png=True), "鸟")
    assert isinstance(only, Response)
    assert only.content_type == "image/png"
    assert (pixels_of(only.body) == pixels_of(response["heatmap"])).all()


def test_an_unknown_label_is_refused_with_the_known_ones(handler):
    decoded = TaggingInput(picture(), 0.5, as_png=False)
    with pytest.raises(BadRequest) as refused:
        handler.explain(decoded, "马")
    assert (refused.value.field, refused.value.reason) == ("target", "no label '马'; there are: 猫, 狗, 鸟")
    handler.labels = [f"c{number}" for number in range(20)]
    with pytest.raises(BadRequest, match=r"c18, c19$"):
        handler.explain(decoded, "马")
    handler.labels = [f"c{number}" for number in range(21)]
    with pytest.raises(BadRequest, match=r"c18, c19, \.\.\.$"):
        handler.explain(decoded, "马")
