"""Bombs within the limits of a body: scans, pixels, and many large images in one batch."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.codecs import decoding_budget, image_file
from handlers.codecs.decoding_budget import spend_pixels
from handlers.codecs.image import ImageCodec
from handlers.codecs.image_file import MAX_SCANS, count_scans, open_image, open_sized, read_sized
from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.whole_image import MAX_SIDE, WholeImageCodec
from handlers.errors import BadRequest, TooManyRequests
from tests.support.bombs import broken_exif, claiming, encoded, large_jpeg, large_png, many_scans

CODEC = ImageCodec(size=32, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)


def photo(size: tuple[int, int]) -> Image.Image:
    """Soft shades with edges, as in a photograph."""
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def refusal(data: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        CODEC.pixels(data)
    assert caught.value.field == "image"
    return caught.value


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(image_file, "_decode", None)
    assert refusal(many_scans()).reason == "a progressive JPEG of more than 64 scans, which is the limit"


def test_an_ordinary_progressive_jpeg_is_decoded():
    data = encoded(photo((300, 200)), "JPEG", progressive=True)
    assert 5 < count_scans(data) <= MAX_SCANS
    assert open_image(data).size == (300, 200)


def test_marks_of_scans_in_metadata_do_not_count():
    data = encoded(photo((300, 200)), "JPEG", exif=b"Exif\0\0" + b"\xff\xda" * 100)
    assert (data.count(b"\xff\xda") > MAX_SCANS, count_scans(data)) == (True, 1)
    assert open_image(data).size == (300, 200)
    segments = data[:2] + b"\xff\xe1\x00\x02" * 3_000 + data[2:]
    assert count_scans(segments) == MAX_SCANS + 1  # too many to look at


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(60_000, 60_000), (8_000, 8_000), (65_000, 700)])
def test_a_header_over_the_limit_of_pixels_is_refused(kind, size):
    assert "limit" in refusal(claiming(*size, kind)).reason


@pytest.mark.parametrize("kind", ["WEBP", "JPEG", "PNG"])
def test_a_broken_exif_block_is_a_damaged_image_or_none(kind):
    with suppress(BadRequest):
        assert CODEC.pixels(broken_exif(kind)).shape == (3, 32, 32)


@pytest.mark.parametrize(
    "raised", [TypeError("x"), KeyError("x"), IndexError("x"), RecursionError("x"), AttributeError("x")]
)
def test_whatever_pillow_raises_is_a_damaged_image(monkeypatch, raised):
    def broken(*_, **__):
        raise raised

    monkeypatch.setattr(image_file.ImageOps, "exif_transpose", broken)
    assert refusal(encoded(photo((40, 40)), "PNG")).reason.startswith("damaged image: ")


def test_memory_that_is_not_there_is_no_damage(monkeypatch):
    def broken(*_, **__):
        raise MemoryError

    monkeypatch.setattr(image_file.ImageOps, "exif_transpose", broken)
    with pytest.raises(MemoryError):
        CODEC.pixels(encoded(photo((40, 40)), "PNG"))


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("RGB", "WEBP")],
)
def test_a_large_image_is_reduced_while_decoding_and_looks_the_same(mode, kind, orientation, monkeypatch):
    monkeypatch.setattr(image_file, "FREE_PIXELS", 10_000)
    image, codec = photo((550, 350)).convert(mode), replace(CODEC, size=8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif.tobytes())
    upright = (350, 550) if orientation == 6 else (550, 350)
    reduced, size = open_sized(data, lambda *sides: min(sides) / 8)
    assert (size, reduced.size) == (upright, tuple(-(-side // 8) for side in upright))
    assert reduced.mode in ("L", "RGB")
    fast = codec.pixels(data).int()
    monkeypatch.setattr(image_file, "reduction", lambda shrink: 1)
    exact = codec.pixels(data).int()
    assert (fast - exact).abs().max() <= 16
    assert (fast - exact).abs().float().mean() <= 4
    assert exact.float().std() > 12  # grey of three independent channels varies less than colour


@pytest.mark.parametrize("size", [(1_900, 1_050), (300, 200)])
def test_an_image_of_an_ordinary_size_is_decoded_in_full(size):
    for kind in ("JPEG", "PNG"):
        pixels, (height, width) = read_sized(
            encoded(photo(size), kind, compress_level=0), 3, lambda *sides: min(sides) / 32
        )
        assert pixels.shape == (3, height, width) == (3, size[1], size[0])


def test_an_image_that_is_needed_large_is_decoded_in_full():
    data = encoded(photo((2_200, 1_400)), "PNG", compress_level=0)
    assert open_image(data, lambda *sides: min(sides) / 200).size == (2_200, 1_400)


def test_boxes_of_a_reduced_image_are_those_of_the_image_as_sent():
    image = LetterboxCodec(64, (0.5,) * 3, (0.5,) * 3).letterbox(encoded(photo((3_001, 1_499)), "JPEG"))
    assert image.size == (1_499, 3_001)
    assert image.to_image(torch.tensor([[0.0, 16, 64, 48]])).tolist() == [[0, 0, 3_001, 1_499]]
    whole = WholeImageCodec(0.5).letterbox(large_png((40_000, 1_000)))
    assert max(whole.pixels.shape) <= MAX_SIDE
    assert whole.size == (1_000, 40_000)
    right, bottom = whole.pixels.shape[2], whole.pixels.shape[1]
    assert whole.to_image(torch.tensor([[0.0, 0, right, bottom]])).tolist() == [[0, 0, 40_000, 1_000]]


def test_a_batch_of_large_images_shares_a_budget_and_small_ones_are_always_decoded():
    small, outcomes = encoded(photo((48, 32)), "PNG"), []
    with decoding_budget.decoding_budget():
        for data in [large_png(), large_png(), large_png(), small, large_png(), large_jpeg(), small]:
            try:
                CODEC.pixels(data)
                outcomes.append("decoded")
            except TooManyRequests as exc:
                outcomes.append(f"{exc.status} {exc.field} {exc.reason}")
    refused = "429 image too many large files at once: a batch decodes 80000000 pixels; send it again, or smaller"
    assert outcomes == ["decoded", "decoded", refused, "decoded", refused, refused, "decoded"]
    assert CODEC.pixels(large_png()).shape == (3, 32, 32)  # the next batch, or training


def test_jpegs_cost_less_of_the_budget_than_what_must_be_decoded_in_full():
    with decoding_budget.decoding_budget():
        for _ in range(8):
            CODEC.pixels(large_jpeg())
        with pytest.raises(TooManyRequests):
            CODEC.pixels(large_jpeg())


def test_large_images_of_a_slow_batch_are_left_out(monkeypatch):
    monkeypatch.setattr(decoding_budget, "BATCH_SECONDS", -1.0)
    with decoding_budget.decoding_budget():
        spend_pixels(decoding_budget.FREE_PIXELS, "image")
        with pytest.raises(TooManyRequests):
            spend_pixels(decoding_budget.FREE_PIXELS + 1, "image")


def test_a_budget_ends_with_its_batch():
    with decoding_budget.decoding_budget():
        spend_pixels(decoding_budget.BATCH_PIXELS, "image")
    with decoding_budget.decoding_budget():
        spend_pixels(decoding_budget.BATCH_PIXELS, "image")
    spend_pixels(10 * decoding_budget.BATCH_PIXELS, "image")
