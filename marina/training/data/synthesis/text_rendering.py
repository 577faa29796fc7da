"""Rendering of text on paper as a scanner sees it: in fonts that packages ship, with shading, blur and noise."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cvttf_NotoSansCJK_Regular as noto
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
NOTO = Path(noto.get_TTF_path())
SIZE = 48  # font size in pixels before scaling down

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Face:
    """A font file and its variations.

    `weight` is the stroke around each glyph in pixels at SIZE, `slant` the shift to the right in pixels for each pixel
    upwards, `width` the horizontal scale.
    """

    file: Path
    weight: float = 0.0
    slant: float = 0.0
    width: float = 1.0


@cache
def _font(file: Path) -> ImageFont.FreeTypeFont:
    # Every build of Pillow has the basic layout engine: the same pixels on every machine.
    return ImageFont.truetype(file, SIZE, layout_engine=ImageFont.Layout.BASIC)


def glyphs(text: str, face: Face) -> Image.Image:
    """Return the text as a mask, 255 where ink is. It covers all ink, and at least the baseline to half of SIZE."""
    font = _font(face.file)
    left, top, right, bottom = font.getbbox(text, stroke_width=face.weight, anchor="ls")
    top, bottom = min(int(top), -SIZE // 2), max(int(bottom), 0)
    mask = Image.new("L", (int(right - left), bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, stroke_width=face.weight, anchor="ls")
    lean = abs(face.slant) * mask.height
    shift = lean if face.slant > 0 else 0.0
    size = (round(mask.width * face.width + lean), mask.height)
    stretch = 1 / face.width  # Pillow takes the inverse transform: the source of each pixel
    affine = (stretch, stretch * face.slant, -stretch * shift, 0, 1, 0)
    return mask.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)


def paper(width: int, height: int, random: np.random.Generator) -> Floats:
    """Return bright paper as grey levels (height, width), with shading in a random direction."""
    across, down = random.uniform(-30, 30, size=2)
    x, y = np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height)
    return random.uniform(190, 240) + across * x[None, :] + down * y[:, None]


def printed(background: Floats, mask: Image.Image, ink: float) -> Floats:
    """Return the background with ink of that grey level where the mask of the same size is 255, blended between."""
    return background + (ink - background) * (np.asarray(mask, dtype=np.float64) / 255)


def scanned(grey: Floats, random: np.random.Generator) -> Image.Image:
    """Return the scan of grey levels (H, W): noise of up to 10 levels, and a Gaussian blur of up to 0.7 pixels."""
    noisy = grey + random.normal(0, random.uniform(0, 10), size=grey.shape)
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.7)))
