"""Pages of several lines, drawn on paper and over photographs."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.phrases import Phrases, chinese_words, latin_words
from training.data.rendering import Floats, glyphs, paper, printed, scanned
from training.data.sources import text_lines
from training.data.sources.mnist_m import TEST_PHOTOS, TRAIN_PHOTOS
from training.data.sources.text_lines import chinese_face, jpeg, latin_face

ORIGIN = (
    "drawn pages of 256 x 256 pixels with several lines of text, Latin and Chinese, half on paper, half over "
    "photographs of scikit-image and scikit-learn; no font, no word and no photograph is in both splits (but for the "
    "one Chinese face, as in text_lines)"
)
LICENCE = f"{text_lines.LICENCE}; photographs: BSD-3-Clause, public domain, CC0 and CC BY 2.0"
COUNTS = {"train": 700, "test": 150}
PHOTOS = {"train": TRAIN_PHOTOS, "test": TEST_PHOTOS}
SIDE = 256
MARGIN = 4
SMALLEST = 9  # pixels: lower lines are left out, nobody could read them
CONTRAST = 90  # grey levels between ink and what it lies on, at least

Box = tuple[int, int, int, int]


def write(folder: Path) -> None:
    """Write train/ and test/, each with images/ and a gt_<image>.txt for each image, as in ICDAR 2013."""
    random = np.random.default_rng(0)
    for place, (split, count) in enumerate(COUNTS.items()):
        scripts = [Phrases(words()[place], chinese) for words, chinese in ((latin_words, False), (chinese_words, True))]
        photos = [np.asarray(Image.open(photo).convert("L"), dtype=np.float64) for photo in PHOTOS[split]]
        (folder / split / "images").mkdir(parents=True)
        for number in range(1, count + 1):
            background = patch(photos[random.integers(len(photos))], random) if number % 2 else None
            image, lines = page(background, scripts, split, random)
            (folder / split / "images" / f"img_{number}.jpg").write_bytes(jpeg(image, random))
            rows = (f'{x1}, {y1}, {x2}, {y2}, "{text}"\n' for (x1, y1, x2, y2), text in lines)
            (folder / split / f"gt_img_{number}.txt").write_text("".join(rows), encoding="utf-8")


def patch(photo: Floats, random: np.random.Generator) -> Floats:
    top, left = (random.integers(side - SIDE + 1) for side in photo.shape)
    return photo[top : top + SIDE, left : left + SIDE]


def page(
    background: Floats | None, scripts: list[Phrases], split: str, random: np.random.Generator
) -> tuple[Image.Image, list[tuple[Box, str]]]:
    """The image, and the box and text of each line; paper where there is no background."""
    grey = paper(SIDE, SIDE, random) if background is None else background.copy()
    lines: list[tuple[Box, str]] = []
    top = int(random.integers(MARGIN, 40))
    while True:
        phrases = scripts[random.integers(len(scripts))]
        text = " ".join(phrases.line(random) for _ in range(random.integers(1, 4)))
        face = chinese_face(split, random) if phrases.chinese else latin_face(split, random)
        mask = glyphs(text, face).rotate(random.uniform(-1, 1), Image.Resampling.BILINEAR, expand=True)
        mask = mask.crop(mask.getbbox())
        scale = min(random.uniform(12, 36) / mask.height, (SIDE - 2 * MARGIN) / mask.width)
        mask = mask.resize(
            (max(1, round(mask.width * scale)), max(1, round(mask.height * scale))), Image.Resampling.BOX
        )
        if top + mask.height > SIDE - MARGIN:
            return scanned(grey, random), lines
        if mask.height >= SMALLEST:
            left = int(random.integers(MARGIN, SIDE - MARGIN - mask.width + 1))
            box = (left, top, left + mask.width, top + mask.height)
            inked(grey, mask, box, random)
            lines.append((box, text))
        top += mask.height + int(random.integers(6, 40))


def inked(grey: Floats, mask: Image.Image, box: Box, random: np.random.Generator) -> None:
    """Print the mask into its box, dark on what is bright and bright on what is dark."""
    x1, y1, x2, y2 = box
    under = grey[y1:y2, x1:x2]
    level = under.mean()
    darker, brighter = level - CONTRAST, level + CONTRAST
    ink = random.uniform(0, darker) if level > 128 else random.uniform(brighter, 255)
    grey[y1:y2, x1:x2] = printed(under, mask, ink)
