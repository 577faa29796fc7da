"""Every kind of picture a user may send comes out upright, 8-bit and of the right shape and colour."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.codecs import image_file
from handlers.codecs.image import ImageCodec, png
from handlers.codecs.image_file import MAX_PIXELS, open_image, plain_jpeg
from handlers.errors import BadRequest
from tests.support.samples import bomb, picture

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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_undone(kind):
    left_white = Image.fromarray(np.repeat([[255] * 10 + [0] * 10], 20, axis=0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to see it upright": left becomes top
    buffer = io.BytesIO()
    left_white.save(buffer, kind, exif=exif, quality=95)
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
    assert GREY.normalize(pixels).flatten().tolist() == pytest.approx([-1.0, 1.0], abs=1e-6)
    bright = torch.tensor([51, 102, 204], dtype=torch.uint8).view(3, 1, 1)
    uneven = ImageCodec(size=1, channels=3, mean=(0.2, 0.3, 0.4), std=(0.5, 0.1, 0.2))
    assert uneven.normalize(bright).flatten().tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)
    assert GREY.normalize(pixels.unsqueeze(0)).shape == (1, 1, 1, 2)


def test_levels_come_back_from_what_they_were_normalised_to():
    codec = ImageCodec(size=1, channels=3, mean=(0.2, 0.3, 0.4), std=(0.5, 0.1, 0.2))
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 256).expand(3, -1, -1)
    assert torch.equal(codec.pixels_of(codec.normalize(levels)), levels)
    beyond = torch.tensor([-1.5, 1.5, 0.6 / 127.5, -0.6 / 127.5, -0.9, 0.9]).view(1, 1, 6)  # 127.5 + 127.5 * x
    assert GREY.pixels_of(beyond).flatten().tolist() == [0, 255, 128, 127, 13, 242]
    assert GREY.pixels_of(beyond).dtype == torch.uint8
    assert GREY.pixels_of(beyond.half()).shape == (1, 1, 6)


def test_a_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(BadRequest, match="decompression bomb") as caught:
        open_image(bomb())
    assert caught.value.field == "image"


def test_the_pixel_limit_holds_at_its_edge():
    side = int(MAX_PIXELS**0.5)
    assert open_image(solid("1", 0, size=(side, side))).size == (side, side)
    with pytest.raises(BadRequest, match="over the limit"):
        open_image(solid("1", 0, size=(side + 1, side + 1)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_pixel_limit_is_of_the_area(kind, monkeypatch):
    monkeypatch.setattr(image_file, "MAX_PIXELS", 600)
    assert GREY.pixels(solid("L", 7, kind, size=(30, 20))).shape == (1, 16, 16)
    with pytest.raises(BadRequest) as caught:
        GREY.pixels(solid("L", 7, kind, size=(30, 21)))
    assert (caught.value.field, caught.value.reason) == ("image", "30 x 21 is over the limit of 600 pixels")


def refused(data: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        open_image(data)
    assert caught.value.field == "image"
    return caught.value.reason


def test_what_is_no_image_or_a_damaged_one_is_told_apart():
    formats = "not an image, or not one of JPEG, PNG, WEBP, GIF, BMP"
    for data in (b"hello", solid("RGB", "red", "TIFF"), solid("RGB", "red", "ICO")):
        assert refused(data) == formats
    for kind in ("JPEG", "PNG"):
        data = picture(kind=kind)
        assert refused(data[: len(data) * 2 // 3]).startswith("damaged image: ")


def test_modes_are_made_grey_or_rgb():
    for mode, kind, becomes in (
        ("L", "PNG", "L"), ("1", "PNG", "L"), ("I;16", "PNG", "L"), ("P", "PNG", "RGB"), ("LA", "PNG", "RGB"),
        ("RGBA", "PNG", "RGB"), ("CMYK", "JPEG", "RGB"), ("RGB", "JPEG", "RGB"), ("L", "JPEG", "L"),
    ):  # fmt: skip
        assert open_image(picture(mode, kind)).mode == becomes
    deep = Image.fromarray(np.array([[-5, 0, 256, 257, 0xFFFF, 70_000]], dtype=np.int32))
    assert list(image_file._eight_bit(deep).get_flattened_data()) == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("cut", [10, 100, 300])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_file_that_is_cut_short_is_refused(kind, cut):
    data = picture(kind=kind)
    with pytest.raises(BadRequest):
        open_image(data[: len(data) - len(data) * cut // 310])


def photo(width=500, height=375):
    """A picture with edges and shades, as JPEG."""
    across, down = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
    shades = torch.stack([across * 255 // width, down * 255 // height, (across // 20 + down // 20) % 2 * 200])
    buffer = io.BytesIO()
    Image.fromarray(shades.permute(1, 2, 0).byte().numpy()).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("codec", [CODEC, GREY])
def test_the_fast_decoder_of_jpegs_sees_what_pillow_sees(codec, monkeypatch):
    data = photo()
    fast = codec.pixels(data).int()
    monkeypatch.setattr(image_file, "plain_jpeg", lambda *_: None)
    slow = codec.pixels(data).int()
    assert (fast - slow).abs().max() <= 2
    assert fast.float().std() > 20


def test_what_only_pillow_can_judge_is_left_to_it():
    def plain(data, channels=3):
        return plain_jpeg(Image.open(io.BytesIO(data)), data, channels)

    data = photo()
    assert plain(data) is not None
    assert plain(data[:-2]) is None  # cut short
    assert plain(solid("CMYK", (0, 255, 255, 0), "JPEG")) is None
    assert plain(solid("RGB", (1, 2, 3), "PNG")) is None
    assert plain_jpeg(Image.open(io.BytesIO(data)), data[:300] + data[-2:], 3) is None
    with pytest.raises(BadRequest, match="pixels"):
        GREY.pixels(solid("L", 0, "JPEG", size=(9000, 9000)))


def test_the_shorter_side_is_scaled_then_the_middle_cut_out():
    codec = ImageCodec(size=8, channels=1, mean=(0.5,), std=(0.5,), resize=16)
    white_middle = Image.new("L", (64, 32))
    white_middle.paste(255, (24, 8, 40, 24))  # the middle 16 x 16 of 32, so 8 x 8 of 16
    buffer = io.BytesIO()
    white_middle.save(buffer, "PNG")
    assert codec.pixels(buffer.getvalue())[0, 1:-1, 1:-1].min() == 255


def test_what_is_scaled_down_is_smoothed_first():
    """Stripes of which a fourth is all that a plain interpolation would see."""
    stripes = np.tile(np.array([255, 0, 0, 255], dtype=np.uint8), (64, 16))
    buffer = io.BytesIO()
    Image.fromarray(stripes).save(buffer, "PNG")
    assert (GREY.pixels(buffer.getvalue())[0, :, 2:-2].int() - 127).abs().max() < 30


def test_a_strip_of_a_million_pixels_costs_a_square_of_its_width():
    assert GREY.pixels(solid("L", 7, "PNG", size=(1_000_000, 2))).unique().tolist() == [7]
