"""Integrated gradients of networks that are linear: each input's weight times how far it is from the baseline."""

import pytest
import torch
from torch import nn

from handlers.classification import TopKInput
from handlers.codecs.image import ImageCodec, png
from handlers.codecs.tabular import TableCodec
from handlers.codecs.video import Clip, VideoCodec
from handlers.errors import BadRequest
from handlers.image_classification import ImageClassification
from handlers.response import Response
from handlers.tabular_regression import TabularRegression
from handlers.video_classification import VideoClassification
from handlers.vision.drawing import contact_sheet, heatmap
from tests.support.bare import PNG, Linear, bare, make_request, pixels_of, same_picture
from tests.support.video_samples import clip

LABELS = ["猫", "狗", "鸟"]


@pytest.fixture
def image_handler(tmp_path):
    torch.manual_seed(0)
    codec = ImageCodec(4, 3, (0.5, 0.25, 0.75), (0.2, 0.3, 0.4))
    return bare(ImageClassification, tmp_path, codec, Linear(torch.randn(3, 3, 4, 4)), LABELS)


def picture() -> torch.Tensor:
    return torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_an_image_is_classified_most_probable_first(image_handler):
    decoded = image_handler.decode(make_request({"image": png(picture()), "top": b"2"}))
    assert (decoded.top, decoded.as_png) == (2, False)
    assert torch.equal(decoded.value, picture())
    assert image_handler.decode(make_request({"body": png(picture())}, PNG)).as_png is True
    batch = image_handler.collate([decoded, decoded])
    assert batch.shape == (2, 3, 4, 4)
    torch.testing.assert_close(batch[1], image_handler.codec.normalize(picture()))
    response = image_handler.encode(torch.tensor([0.1, 0.6, 0.3]).log(), decoded)
    assert response == {
        "predictions": [
            {"label": "狗", "probability": pytest.approx(0.6)},
            {"label": "鸟", "probability": pytest.approx(0.3)},
        ]
    }


def test_attributions_of_an_image_start_from_black(image_handler):
    network, codec = image_handler.network, image_handler.codec
    decoded = TopKInput(picture(), 5)
    x = codec.normalize(picture())
    probabilities = network(x[None])[0].softmax(dim=0).tolist()
    best = max(range(3), key=probabilities.__getitem__)
    black = codec.normalize(torch.zeros(3, 4, 4, dtype=torch.uint8))
    for target, number in ((None, best), ("猫", 0), ("狗", 1), ("鸟", 2)):
        network.sizes.clear()
        response = image_handler.explain(decoded, target)
        assert response["target"] == {
            "label": LABELS[number],
            "probability": pytest.approx(probabilities[number], abs=1e-5),
        }
        assert response["convergence_delta"] == pytest.approx(0, abs=1e-3)
        weights = (network.weights[number] * (x - black)).sum(dim=0).detach()
        same_picture(response["heatmap"], heatmap(picture(), weights))
        assert (network.sizes[0], max(network.sizes), sum(network.sizes)) == (1, 3, 1 + 8 + 2)
    bare_picture = image_handler.explain(TopKInput(picture(), 5, as_png=True), "鸟")
    assert isinstance(bare_picture, Response)
    assert bare_picture.content_type == "image/png"
    assert (pixels_of(bare_picture.body) == pixels_of(response["heatmap"])).all()


def test_an_unknown_class_is_refused_with_the_known_ones(image_handler):
    with pytest.raises(BadRequest) as caught:
        image_handler.explain(TopKInput(picture(), 5), "马")
    assert (caught.value.field, caught.value.reason) == ("target", "no class '马'; there are: 猫, 狗, 鸟")
    image_handler.labels = [f"c{number}" for number in range(20)]
    with pytest.raises(BadRequest, match=r"c18, c19$"):
        image_handler.explain(TopKInput(picture(), 5), "马")
    image_handler.labels = [f"c{number}" for number in range(21)]
    with pytest.raises(BadRequest, match=r"c18, c19, \.\.\.$"):
        image_handler.explain(TopKInput(picture(), 5), "马")


@pytest.fixture
def video_handler(tmp_path):
    torch.manual_seed(0)
    codec = VideoCodec(6, 4, (0.5, 0.25, 0.75), (0.2, 0.3, 0.4))
    return bare(VideoClassification, tmp_path, codec, Linear(torch.randn(3, 3, 6, 4, 4)), LABELS)


def frames() -> Clip:
    pixels = torch.randint(0, 256, (3, 6, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Clip(pixels, [0, 2, 4, 6, 8, 9])


def test_attributions_of_a_video_start_from_the_clip_standing_still(video_handler):
    network = video_handler.network
    x = video_handler.codec.normalize(frames().pixels)
    weights = (network.weights[1] * (x - x.mean(dim=1, keepdim=True))).sum(dim=0).detach()  # (T, S, S)
    response = video_handler.explain(TopKInput(frames(), 5), "狗")
    assert response["target"]["label"] == "狗"
    assert [one["frame"] for one in response["frames"]] == [0, 2, 4, 6, 8, 9]
    assert [one["weight"] for one in response["frames"]] == pytest.approx(weights.sum(dim=(1, 2)).tolist(), abs=1e-4)
    assert all(one["weight"] == round(one["weight"], 6) for one in response["frames"])
    assert response["convergence_delta"] == pytest.approx(0, abs=1e-3)
    expected = heatmap(contact_sheet(frames().pixels.transpose(0, 1)), contact_sheet(weights[:, None])[0])
    same_picture(response["heatmap"], expected)
    assert (max(network.sizes), sum(network.sizes)) == (3, 1 + 8 + 2)
    same_picture(video_handler.explain(TopKInput(frames(), 5, as_png=True), "狗").body, expected)


def test_a_video_is_read_from_its_field(video_handler):
    decoded = video_handler.decode(make_request({"video": clip(6), "top": b"1"}))
    assert (decoded.top, decoded.value.places) == (1, list(range(6)))
    assert video_handler.collate([decoded, decoded]).shape == (2, 3, 6, 4, 4)


class Sum(nn.Module):
    """(N, 2) -> (N,)."""

    def forward(self, x):
        return x @ torch.tensor([2.0, -1.0]) + 0.5


class Bent(Sum):
    def forward(self, x):
        return (super().forward(x) - 0.2).relu()


@pytest.fixture
def table_handler(tmp_path):
    return bare(TabularRegression, tmp_path, TableCodec(["面积", "龄"], [10, 5], [2, 4], "价", 100.0, 50.0), Sum())


def test_a_table_is_predicted_in_the_units_of_its_target(table_handler):
    decoded = table_handler.decode(make_request(features=[12, 1]))
    assert decoded == [12.0, 1.0]
    batch = table_handler.collate([decoded, [10.0, 5.0]])
    assert (batch.tolist(), batch.dtype) == ([[1.0, -1.0], [0.0, 0.0]], torch.float32)
    assert table_handler.forward(batch) == [3.5, 0.5]
    assert table_handler.encode(3.5, decoded) == {"prediction": 275.0}
    assert table_handler.encode(1e-7, decoded) == {"prediction": 100.000005}


def test_weights_of_columns_add_up_from_the_average_row(table_handler):
    assert table_handler.explain([12.0, 1.0], None) == {
        "prediction": 275.0,
        "baseline": 125.0,
        "convergence_delta": pytest.approx(0, abs=1e-3),
        "columns": [
            {"column": "面积", "weight": pytest.approx(100, abs=1e-3)},
            {"column": "龄", "weight": pytest.approx(50, abs=1e-3)},
        ],
    }
    with pytest.raises(BadRequest) as caught:
        table_handler.explain([12.0, 1.0], "价")
    assert (caught.value.field, caught.value.reason) == (
        "target",
        "价 is the only target of this model; leave `target` out",
    )


def test_the_convergence_delta_of_a_table_is_in_its_units(table_handler):
    table_handler.network = Bent()
    response = table_handler.explain([8.0, 5.0], None)  # from 0.3 down to where it bends
    assert (response["prediction"], response["baseline"]) == (100.0, pytest.approx(115, abs=1e-5))
    weights = [column["weight"] for column in response["columns"]]
    assert all(weight == round(weight, 6) for weight in weights)
    assert response["convergence_delta"] == pytest.approx(sum(weights) + 15, abs=1e-3)
    assert abs(response["convergence_delta"]) > 0.01
    table_handler.card["serving"] = {"explain_steps": 200}
    assert abs(table_handler.explain([8.0, 5.0], None)["convergence_delta"]) < abs(response["convergence_delta"])
