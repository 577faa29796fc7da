"""Images made for people to look at: heatmaps, sizes, contact sheets."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.vision.drawing import contact_sheet, heatmap, resize_for_display

RED, BLUE = (255, 40, 40), (40, 80, 255)


def shown(pixels, attribution) -> np.ndarray:
    image = Image.open(io.BytesIO(heatmap(pixels, attribution)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).astype(int)


def test_red_is_positive_blue_negative_and_grey_the_image():
    pixels = torch.full((3, 256, 256), 100, dtype=torch.uint8)
    pixels[0] = 130  # grey is the mean: 110
    attribution = torch.zeros(256, 256)
    attribution[:64], attribution[64:128], attribution[128:192] = 2.0, -2.0, 1.0
    picture = shown(pixels, attribution)
    assert picture[10, 10].tolist() == list(RED)
    assert picture[100, 10].tolist() == list(BLUE)
    assert picture[150, 10].tolist() == [round((110 + level) / 2) for level in RED]
    assert picture[250, 10].tolist() == [110] * 3


def test_a_single_pixel_does_not_dim_all_others():
    attribution = torch.full((100, 100), 0.5)
    attribution[0, 0] = 1000
    assert shown(torch.zeros(1, 100, 100, dtype=torch.uint8), attribution)[-1, -1].tolist() == list(RED)
    attribution[:2] = 1000  # two in a hundred do
    assert shown(torch.zeros(1, 100, 100, dtype=torch.uint8), attribution)[-1, -1].max() < 5
    attribution[:] = -0.01  # and weak ones alone are as strong as there are
    assert shown(torch.zeros(1, 100, 100, dtype=torch.uint8), attribution)[-1, -1].tolist() == list(BLUE)


def test_an_attribution_of_zero_leaves_the_image():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 256).expand(1, 256, 256)
    assert (shown(levels, torch.zeros(256, 256)) == np.arange(256)[None, :, None]).all()


@pytest.mark.parametrize(
    ("size", "times"), [((28, 40), 9), ((40, 28), 9), ((200, 300), 1), ((600, 700), 1), ((1, 3), 256)]
)
def test_small_images_are_enlarged_in_whole_pixels(size, times):
    levels = torch.randint(0, 256, (1, *size), dtype=torch.uint8)
    picture = shown(levels, torch.zeros(size))
    assert picture.shape == (size[0] * times, size[1] * times, 3)
    assert (picture[::times, ::times, 0] == levels[0].numpy()).all()
    assert (picture[times - 1 :: times, times - 1 :: times, 0] == levels[0].numpy()).all()


@pytest.mark.parametrize(
    ("size", "becomes", "scale"),
    [
        ((32, 48), (171, 256), 256 / 48),
        ((48, 32), (256, 171), 256 / 48),
        ((256, 100), (256, 100), 1),
        ((400, 600), (400, 600), 1),
        ((1024, 10), (1024, 10), 1),
        ((1500, 3000), (512, 1024), 1024 / 3000),
        ((1, 3000), (1, 1024), 1024 / 3000),
        ((1, 1), (256, 256), 256),
    ],
)
def test_an_image_gets_a_readable_size(size, becomes, scale):
    image, by = resize_for_display(torch.full((3, *size), 7, dtype=torch.uint8))
    assert tuple(image.shape) == (3, *becomes)
    assert by == pytest.approx(scale)
    assert image.unique().tolist() == [7]


def test_scaling_down_is_antialiased():
    stripes = torch.tensor([255, 0, 0, 255], dtype=torch.uint8).repeat(1024).expand(3, 64, 4096)
    image, _ = resize_for_display(stripes)
    assert (image[..., 2:-2].int() - 127).abs().max() < 30


def test_a_sheet_has_four_pictures_a_row_side_by_side():
    pictures = torch.arange(6).view(6, 1, 1, 1).expand(6, 3, 2, 5)
    made = contact_sheet(pictures)
    assert made.shape == (3, 4, 20)
    assert made[0, ::2, ::5].tolist() == [[0, 1, 2, 3], [4, 5, 0, 0]]
    assert made[2, 1::2, 4::5].tolist() == [[0, 1, 2, 3], [4, 5, 0, 0]]
    assert contact_sheet(pictures[:, :1]).shape == (3, 4, 20)
