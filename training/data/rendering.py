"""Text on paper, as a scanner sees it: drawn with fonts that packages ship, then shaded, blurred, with noise."""

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
SIZE = 48  # of letters as they are drawn, in pixels; they are scaled down from it

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Face:
    """A font file and what is done to it: `weight` pixels of stroke around each glyph at SIZE, `slant` pixels to the
    right for each one upwards, and letters `width` times as wide.
    """

    file: Path
    weight: float = 0.0
    slant: float = 0.0
    width: float = 1.0


@cache
def _font(file: Path) -> ImageFont.FreeTypeFont:
    # The basic layout is in every build of Pillow: the same pixels everywhere.
    return ImageFont.truetype(file, SIZE, layout_engine=ImageFont.Layout.BASIC)


def glyphs(text: str, face: Face) -> Image.Image:
    """The text as a mask, 255 where ink is. It reaches over all ink, and at least from the baseline to half of SIZE."""
    font = _font(face.file)
    left, top, right, bottom = font.getbbox(text, stroke_width=face.weight, anchor="ls")
    top, bottom = min(int(top), -SIZE // 2), max(int(bottom), 0)
    mask = Image.new("L", (int(right - left), bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, stroke_width=face.weight, anchor="ls")
    lean = abs(face.slant) * mask.height
    shift = lean if face.slant > 0 else 0.0
    size = (round(mask.width * face.width + lean), mask.height)
    stretch = 1 / face.width  # Pillow wants to know where each pixel comes from
    place = (stretch, stretch * face.slant, -stretch * shift, 0, 1, 0)
    return mask.transform(size, Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)


def paper(width: int, height: int, random: np.random.Generator) -> Floats:
    """(height, width) of grey, bright, with shading that runs over it in some direction."""
    across, down = random.uniform(-30, 30, size=2)
    x, y = np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height)
    return random.uniform(190, 240) + across * x[None, :] + down * y[:, None]


def printed(background: Floats, mask: Image.Image, ink: float) -> Floats:
    """The background with ink of that grey where the mask, of the same size, is."""
    return background + (ink - background) * (np.asarray(mask, dtype=np.float64) / 255)


def scanned(grey: Floats, random: np.random.Generator) -> Image.Image:
    """Out of focus by up to 0.7 pixels, with noise of up to 10 grey levels."""
    noisy = grey + random.normal(0, random.uniform(0, 10), size=grey.shape)
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.7)))
