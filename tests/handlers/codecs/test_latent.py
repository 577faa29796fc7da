"""Options of requests for generated images and for styles."""

import base64

import pytest
import torch

from handlers.codecs.image import png
from handlers.codecs.latent import LatentInput
from handlers.codecs.style import StyleCodec
from handlers.errors import BadRequest
from tests.support.bare import PNG, make_request

LABELS = ["猫", "狗", "鸟"]


def order(headers=None, **options) -> LatentInput:
    return LatentInput.from_request(
        make_request(headers=headers, seed=1) if headers else make_request(**options), 5, LABELS
    )


def refused(**options) -> tuple[str, str]:
    with pytest.raises(BadRequest) as caught:
        order(**options)
    return caught.value.field, caught.value.reason


def test_an_order_is_numbers_and_a_class_for_each_image():
    made = order(seed=7, count=3)
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(made.z[:, :5], torch.randn(3, 5, generator=generator))
    drawn = torch.randint(3, (3,), generator=generator)
    assert torch.equal(made.z[:, 5:], torch.eye(3)[drawn])
    assert made.labels == [LABELS[place] for place in drawn]
    assert (made.seed, made.as_png) == (7, False)
    assert order(PNG).as_png is True


def test_a_label_is_for_all_images_and_changes_no_number():
    free, chosen = order(seed=7, count=4), order(seed=7, count=4, label="狗")
    assert torch.equal(free.z[:, :5], chosen.z[:, :5])
    assert chosen.labels == ["狗"] * 4
    assert chosen.z[:, 5:].tolist() == [[0, 1, 0]] * 4


def test_without_a_seed_any_is_taken_and_one_image_is_made():
    seeds = {order(count=1).seed for _ in range(20)}
    assert len(seeds) == 20
    assert max(seeds) > 2**40
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert len(order(seed=0).z) == 1
    assert order(seed=0).seed == 0
    assert (order(seed=2**53 - 1).seed, len(order(seed=1, count=64).z)) == (2**53 - 1, 64)


def test_an_order_out_of_range_is_refused():
    assert refused(seed=1, label="马") == ("label", "not one of 猫, 狗, 鸟")
    assert refused(seed=2**53) == ("seed", f"not a whole number from 0 to {2**53 - 1}")
    assert refused(seed=-1)[0] == "seed"
    assert refused(seed=1, count=65) == ("count", "not a whole number from 1 to 64")
    assert refused(seed=1, count=0)[0] == "count"


CODEC = StyleCodec(64, 3, (0.5,) * 3, (0.25,) * 3, styles={"风": base64.b64encode(b"file").decode(), "云": ""})


def flat(width: int, height: int) -> bytes:
    return png(torch.full((3, height, width), 9, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("sent", "size", "shape"),
    [((48, 32), 96, (64, 96)), ((32, 48), 96, (96, 64)), ((200, 50), 64, (16, 64)), ((30, 20), 64, (43, 64))],
)
def test_the_longer_side_of_a_picture_is_as_asked_for(sent, size, shape):
    picture, had = CODEC.picture(flat(*sent), size, "image")
    assert (tuple(picture.shape), had, picture.dtype) == ((3, *shape), sent, torch.uint8)
    assert picture.is_contiguous()
    assert picture.unique().tolist() == [9]


def test_a_picture_that_is_scaled_down_is_smoothed_first():
    stripes = torch.tensor([255, 0, 0, 255], dtype=torch.uint8).repeat(64).expand(3, 64, 256)
    picture, _ = CODEC.picture(png(stripes), 64, "image")
    assert (picture[..., 2:-2].int() - 127).abs().max() < 30


def test_a_bad_picture_is_refused_under_its_own_name():
    for data, reason in (
        (b"hello", "not an image, or not one of JPEG, PNG, WEBP, GIF, BMP"),
        (flat(200, 40), "200 x 40 is too long a strip: at most 4 to 1"),
        (flat(40, 200), "40 x 200 is too long a strip: at most 4 to 1"),
    ):
        with pytest.raises(BadRequest) as caught:
            CODEC.picture(data, 64, "style")
        assert (caught.value.field, caught.value.reason) == ("style", reason)


def test_a_style_is_found_by_its_name():
    assert CODEC.style("风") == b"file"
    with pytest.raises(BadRequest) as caught:
        CODEC.style("雨")
    assert (caught.value.field, caught.value.reason) == ("style", "neither a picture nor one of 风, 云")
