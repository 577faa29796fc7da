"""Every kind of picture a user may send comes out upright, 8-bit and of the right shape and colour."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.codecs.image import MAX_PIXELS, ImageCodec, open_image, png
from handlers.errors import BadRequest
from tests.samples import bomb, picture

CODEC = ImageCodec(size=16, channels=3, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
GREY = ImageCodec(size=16, channels=1, mean=(0.5,), std=(0.5,))
KINDS = [
    ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"),
    ("P", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP"), ("RGBA", "WEBP"), ("P", "GIF"), ("RGB", "BMP"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "kind"), KINDS)
@pytest.mark.parametrize("codec", [CODEC, GREY])
def test_every_mode_and_format_becomes_a_square_of_bytes(mode, kind, codec):
    pixels = codec.pixels(picture(mode, kind))
    assert pixels.shape == (codec.channels, 16, 16)
    assert pixels.dtype == torch.uint8
    assert int(pixels.max()) > int(pixels.min())


def solid(mode: str, colour, kind: str = "PNG", size=(20, 20), **options) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (solid("RGB", (10, 200, 30)), (10, 200, 30)),
        (solid("L", 77), (77, 77, 77)),
        (solid("RGBA", (0, 0, 0, 0)), (255, 255, 255)),  # nothing at all is white
        (solid("RGBA", (0, 0, 0, 255)), (0, 0, 0)),
        (solid("RGBA", (0, 0, 0, 128)), (127, 127, 127)),
        (solid("I;16", 0xFFFF), (255, 255, 255)),
        (solid("I;16", 0x8080), (128, 128, 128)),
        (solid("CMYK", (0, 255, 255, 0), "JPEG", quality=95), (255, 0, 0)),
    ],
)
def test_colours_are_kept(data, colour):
    middle = CODEC.pixels(data)[:, 8, 8].int()
    assert (middle - torch.tensor(colour)).abs().max() <= 3, middle


def test_exif_rotation_is_undone():
    left_white = Image.fromarray(np.repeat([[255] * 10 + [0] * 10], 20, axis=0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to see it upright": left becomes top
    buffer = io.BytesIO()
    left_white.save(buffer, "JPEG", exif=exif, quality=95)
    pixels = GREY.pixels(buffer.getvalue())[0]
    assert int(pixels[2].min()) > 200
    assert int(pixels[-3].max()) < 50


def test_the_shorter_side_is_scaled_and_the_middle_cut_out():
    wide = Image.new("L", (64, 16), 0)
    wide.paste(255, (24, 0, 40, 16))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    assert int(GREY.pixels(buffer.getvalue()).min()) == 255


def test_an_image_of_the_right_size_is_not_touched():
    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    assert torch.equal(CODEC.pixels(png(pixels)), pixels)
    assert torch.equal(GREY.pixels(png(pixels[:1])), pixels[:1])


def test_normalize_is_the_textbook_formula_for_one_image_and_for_a_batch():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2)
    assert GREY.normalize(pixels).flatten().tolist() == [-1.0, 1.0]
    assert GREY.normalize(pixels.unsqueeze(0)).shape == (1, 1, 1, 2)


def test_a_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(BadRequest, match="pixels") as fault:
        open_image(bomb())
    assert fault.value.field == "image"


def test_the_pixel_limit_holds_at_its_edge():
    side = int(MAX_PIXELS**0.5)
    assert open_image(solid("1", 0, size=(side, side))).size == (side, side)
    with pytest.raises(BadRequest, match="over the limit"):
        open_image(solid("1", 0, size=(side + 1, side + 1)))


@pytest.mark.parametrize("cut", [10, 100, 300])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_file_that_is_cut_short_is_refused(kind, cut):
    data = picture(kind=kind)
    with pytest.raises(BadRequest):
        open_image(data[: len(data) - len(data) * cut // 310])
