"""Images of any shape in a square, and boxes back from it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.codecs.letterbox import LetterboxCodec
from tests.samples import picture

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
