"""Images in their own size for detectors of a library: nothing is scaled, and boxes stay as they are."""

import pytest
import torch

from handlers.codecs.image import png
from handlers.codecs.whole_image import WholeImageCodec
from handlers.errors import BadRequest
from models.parts.library_detector import PADDING

CODEC = WholeImageCodec(cover=0.5)


def test_an_image_keeps_its_size_and_its_boxes():
    pixels = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    image = CODEC.letterbox(png(pixels))
    assert torch.equal(image.pixels, pixels)
    assert (image.window, image.size, image.decimals) == ((0, 0, 7, 5), (5, 7), 6)
    boxes = torch.tensor([[0.123456789, 1.0, 9.0, 3.0]])
    assert image.to_image(boxes) is boxes
    assert torch.equal(image.content(pixels), pixels)


def test_a_grey_image_has_three_channels():
    assert CODEC.letterbox(png(torch.zeros(1, 2, 2, dtype=torch.uint8))).pixels.shape == (3, 2, 2)


def test_what_is_no_image_is_refused():
    with pytest.raises(BadRequest):
        CODEC.letterbox(b"hello")


def test_a_batch_has_the_size_of_its_largest_sides():
    wide, tall = torch.full((3, 2, 5), 255, dtype=torch.uint8), torch.full((3, 4, 3), 51, dtype=torch.uint8)
    batch = CODEC.collate([wide, tall])
    assert batch.shape == (2, 3, 4, 5)
    expected = torch.full((2, 3, 4, 5), PADDING)
    expected[0, :, :2], expected[1, :, :, :3] = 1.0, 0.2
    torch.testing.assert_close(batch, expected)
