"""Images of any shape in a square, and boxes back from it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.codecs.letterbox import LetterboxCodec
from tests.support.samples import picture

SIZES = [(48, 32), (32, 48), (128, 128), (1000, 333), (5, 700), (1, 1)]


def codec(size: int = 64) -> LetterboxCodec:
    return LetterboxCodec(size, (0.5, 0.25, 0.75), (0.2, 0.2, 0.2))


@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_from_the_square_to_the_image(size):
    image = codec().letterbox(picture(size=size))
    assert image.pixels.shape == (3, 64, 64)
    assert image.size == size[::-1]
    boxes = torch.rand(20, 2, 2).sort(dim=1).values.view(20, 4) * torch.tensor([*size, *size])
    torch.testing.assert_close(image.to_image(image.to_square(boxes)), boxes, atol=1e-3, rtol=1e-4)
    whole = image.to_square(torch.tensor([[0.0, 0, *size]]))
    assert whole.tolist()[0] == pytest.approx(image.window, abs=1e-3)
    beyond = image.to_image(torch.tensor([[-5.0, -5, 99, 99]]))
    assert beyond.tolist()[0] == [0, 0, *size]


def test_the_square_holds_the_image_undistorted_and_around_it_the_mean():
    canvas = Image.new("RGB", (200, 100), "black")
    canvas.paste("white", (50, 20, 150, 80))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    image = codec(128).letterbox(buffer.getvalue())
    assert image.window == (0, 32, 128, 96)
    (box,) = image.to_square(torch.tensor([[50.0, 20, 150, 80]])).tolist()
    rows, columns = np.nonzero(image.pixels[0].numpy() > 200)
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(box, abs=1)
    assert codec(128).normalize(image.pixels)[:, 0].abs().max() < 0.02
    assert image.content(image.pixels).shape == (3, 64, 128)


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((48, 32), (0, 10, 64, 53)),
        ((32, 48), (10, 0, 53, 64)),
        ((128, 128), (0, 0, 64, 64)),
        ((1000, 333), (0, 21, 64, 42)),
        ((5, 700), (31, 0, 32, 64)),
        ((700, 5), (0, 31, 64, 32)),
        ((1, 1), (0, 0, 64, 64)),
    ],
)
def test_the_image_lies_in_the_middle_at_least_a_pixel_wide(size, window):
    assert codec().letterbox(picture(size=size)).window == window


def test_beside_the_image_is_the_mean_colour():
    image = codec().letterbox(picture(size=(48, 32)))
    assert image.pixels[:, 0, 0].tolist() == image.pixels[:, -1, -1].tolist() == [128, 64, 191]
    black = codec(32).letterbox(picture(size=(32, 32)))
    assert torch.equal(black.pixels, black.content(black.pixels))


def test_what_was_cut_out_can_be_put_back():
    image = codec().letterbox(picture(size=(20, 50)))
    content = image.content(image.pixels.float())
    assert content.shape == (3, 64, 26)
    for fill in (0, 7):
        back = image.placed(content[None], *[fill] * bool(fill))
        assert back.shape == (1, 3, 64, 64)
        assert torch.equal(image.content(back)[0], content)
        assert (back[..., :19] == fill).all()
        assert (back[..., 45:] == fill).all()
    wide = codec().letterbox(picture(size=(50, 20)))
    assert torch.equal(wide.content(wide.placed(wide.content(wide.pixels))), wide.content(wide.pixels))


def test_levels_come_back_from_what_they_were_normalised_to():
    pixels = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert torch.equal(codec().pixels_of(codec().normalize(pixels)), pixels)


def test_what_is_scaled_down_is_smoothed_first():
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.array([255, 0, 0, 255], dtype=np.uint8), (256, 64))).save(buffer, "PNG")
    pixels = codec().letterbox(buffer.getvalue()).pixels[:, :, 2:-2]
    assert (pixels.int() - 127).abs().max() < 30
