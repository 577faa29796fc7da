"""Rendered text: lines with transcripts, and pages with boxes, on paper and over photographs."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from marina.training.data.formats.document_images import NOTE_FILE
from marina.training.data.standins import StandIn
from marina.training.data.standins.digits import TEST_PHOTOS, TRAIN_PHOTOS, random_patch
from marina.training.data.synthesis.line_phrases import PhraseGenerator, chinese_words, latin_words
from marina.training.data.synthesis.text_rendering import FONTS, NOTO, Face, Floats, glyphs, paper, printed, scanned

LINES_ORIGIN = (
    "drawn lines of text, two in three Latin, the third Chinese. Latin: trained on DejaVu Sans, Serif, Mono and "
    "Computer Modern, tested on STIX General and Computer Modern Sans; words of scikit-learn's documentation. Chinese: "
    "packages ship one face only, Noto Sans CJK TC Regular; its test fonts are that face in weights, slants and widths "
    "that are never trained on; words of jieba's dictionary. No test word is trained on"
)
NOTE = (
    "All of it is drawn, none photographed. The Latin test lines are of font families never trained on. The Chinese "
    "ones are of the one face that there is, in weights, slants and widths between those trained on: a face never seen "
    "would be harder. Chinese characters are the 400 that come most often in jieba's words and those of invoices; a "
    "network that is trained on this knows no others."
)
LICENCE = (
    "fonts: Bitstream Vera and public domain (DejaVu), OFL (STIX, Noto Sans CJK), BaKoMa (Computer Modern); words: "
    "BSD-3-Clause (scikit-learn), MIT (jieba)"
)
LINE_COUNTS = {"train": 10_000, "test": 1_600}
DEJAVU_STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
LATIN = {  # font families, all with the same probability
    "train": (
        [f"DejaVuSans{style}" for style in DEJAVU_STYLES],
        [f"DejaVuSansMono{style}" for style in DEJAVU_STYLES],
        [f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")],
        ["cmr10", "cmb10", "cmti10", "cmtt10"],
    ),
    "test": (["STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"], ["cmss10"]),
}
# (weights, slants, widths) of the only face for Chinese: no value is in both.
CHINESE = {
    "train": ((0.0, 1.0, 2.0), (-0.3, -0.1, 0.0, 0.1, 0.3), (0.75, 1.0, 1.25)),
    "test": ((0.5, 1.5), (-0.2, 0.2), (0.85, 1.15)),
}

PAGES_ORIGIN = (
    "drawn pages of 256 x 256 pixels with several lines of text, Latin and Chinese, half on paper, half over "
    "photographs of scikit-image and scikit-learn; no font, no word and no photograph is in both splits (but for the "
    "one Chinese face, as in text_lines)"
)
PAGE_COUNTS = {"train": 700, "test": 150}
PHOTOS = {"train": TRAIN_PHOTOS, "test": TEST_PHOTOS}
PAGE_SIZE = 256  # pixels
PAGE_MARGIN = 4
MIN_LINE_HEIGHT = 9  # pixels: lower lines are left out, because they are illegible
MIN_CONTRAST = 90  # grey levels between ink and its background

Box = tuple[int, int, int, int]


def write_text_lines(folder: Path) -> None:
    """Write train/ and test/: gt.txt, with a file name and a transcript on each line, and the images beside it.

    Two lines of three are in Latin script, the third is Chinese.
    """
    (folder / NOTE_FILE).write_text(NOTE, encoding="utf-8")
    random = np.random.default_rng(0)
    for split, count in LINE_COUNTS.items():
        scripts = phrase_generators(split)
        (folder / split).mkdir()
        lines = []
        for number in range(count):
            phrases = scripts[number % 3 == 2]
            text = phrases.line(random)
            face = random_face(phrases, split, random)
            file = f"line_{number:05}.jpg"
            (folder / split / file).write_bytes(jpeg(text_line(text, face, random), random))
            lines.append(f"{file}\t{text}\n")
        (folder / split / "gt.txt").write_text("".join(lines), encoding="utf-8")


def phrase_generators(split: str) -> list[PhraseGenerator]:
    """Return the generators of Latin and of Chinese phrases, with the words of the split."""
    index = list(LINE_COUNTS).index(split)
    return [PhraseGenerator(latin_words()[index], False), PhraseGenerator(chinese_words()[index], True)]


def random_face(phrases: PhraseGenerator, split: str, random: np.random.Generator) -> Face:
    """Draw a face of the split for the script of the phrases."""
    return chinese_face(split, random) if phrases.chinese else latin_face(split, random)


def latin_face(split: str, random: np.random.Generator) -> Face:
    """Draw a Latin face: test faces are unchanged, training faces vary slightly in weight, slant and width."""
    family = LATIN[split][random.integers(len(LATIN[split]))]
    file = FONTS / f"{family[random.integers(len(family))]}.ttf"
    if split == "test":
        return Face(file)
    return Face(file, float(random.choice((0.0, 0.0, 0.5, 1.0))), random.uniform(-0.1, 0.3), random.uniform(0.65, 1.25))


def chinese_face(split: str, random: np.random.Generator) -> Face:
    """Draw a weight, a slant and a width for the Chinese face."""
    weight, slant, width = (float(random.choice(values)) for values in CHINESE[split])
    return Face(NOTO, weight, slant, width)


def slightly_rotated(text: str, face: Face, random: np.random.Generator) -> Image.Image:
    """Return the mask of the text, rotated by up to one degree."""
    return glyphs(text, face).rotate(random.uniform(-1, 1), Image.Resampling.BILINEAR, expand=True)


def text_line(text: str, face: Face, random: np.random.Generator) -> Image.Image:
    """Render a line on a strip of paper slightly larger than itself; one in ten is light on dark."""
    mask = slightly_rotated(text, face, random)
    height = int(random.integers(22, 41))
    mask = mask.resize((max(1, round(mask.width * height / mask.height)), height), Image.Resampling.BOX)
    left, right, top, bottom = random.integers(1, 1 + height // 4, size=4).tolist()
    strip = Image.new("L", (left + mask.width + right, top + height + bottom))
    strip.paste(mask, (left, top))
    grey = printed(paper(strip.width, strip.height, random), strip, random.uniform(0, 90))
    return scanned(255 - grey if random.random() < 0.1 else grey, random)


def jpeg(image: Image.Image, random: np.random.Generator) -> bytes:
    """Encode an image as JPEG of random quality, 60 to 94."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(random.integers(60, 95)))
    return buffer.getvalue()


def write_text_pages(folder: Path) -> None:
    """Write train/ and test/, each with images/ and a gt_<image>.txt for each image, as in ICDAR 2013."""
    random = np.random.default_rng(0)
    for split, count in PAGE_COUNTS.items():
        scripts = phrase_generators(split)
        photos = [np.asarray(Image.open(photo).convert("L"), dtype=np.float64) for photo in PHOTOS[split]]
        (folder / split / "images").mkdir(parents=True)
        for number in range(1, count + 1):
            background = None
            if number % 2:
                background = random_patch(photos[random.integers(len(photos))], PAGE_SIZE, random)
            image, lines = page(background, scripts, split, random)
            (folder / split / "images" / f"img_{number}.jpg").write_bytes(jpeg(image, random))
            rows = (f'{x1}, {y1}, {x2}, {y2}, "{text}"\n' for (x1, y1, x2, y2), text in lines)
            (folder / split / f"gt_img_{number}.txt").write_text("".join(rows), encoding="utf-8")


def page(
    background: Floats | None, scripts: list[PhraseGenerator], split: str, random: np.random.Generator
) -> tuple[Image.Image, list[tuple[Box, str]]]:
    """Render a page, on paper if there is no background (S, S); return it with the box and the text of each line."""
    grey = paper(PAGE_SIZE, PAGE_SIZE, random) if background is None else background.copy()
    lines: list[tuple[Box, str]] = []
    top = int(random.integers(PAGE_MARGIN, 40))
    while True:
        phrases = scripts[random.integers(len(scripts))]
        text = " ".join(phrases.line(random) for _ in range(random.integers(1, 4)))
        mask = slightly_rotated(text, random_face(phrases, split, random), random)
        mask = mask.crop(mask.getbbox())
        scale = min(random.uniform(12, 36) / mask.height, (PAGE_SIZE - 2 * PAGE_MARGIN) / mask.width)
        mask = mask.resize(
            (max(1, round(mask.width * scale)), max(1, round(mask.height * scale))), Image.Resampling.BOX
        )
        if top + mask.height > PAGE_SIZE - PAGE_MARGIN:
            return scanned(grey, random), lines
        if mask.height >= MIN_LINE_HEIGHT:
            left = int(random.integers(PAGE_MARGIN, PAGE_SIZE - PAGE_MARGIN - mask.width + 1))
            box = (left, top, left + mask.width, top + mask.height)
            print_line(grey, mask, box, random)
            lines.append((box, text))
        top += mask.height + int(random.integers(6, 40))


def print_line(grey: Floats, mask: Image.Image, box: Box, random: np.random.Generator) -> None:
    """Print the mask into its box, dark on a bright background and bright on a dark one."""
    x1, y1, x2, y2 = box
    under = grey[y1:y2, x1:x2]
    level = under.mean()
    darker, brighter = level - MIN_CONTRAST, level + MIN_CONTRAST
    ink = random.uniform(0, darker) if level > 128 else random.uniform(brighter, 255)
    grey[y1:y2, x1:x2] = printed(under, mask, ink)


STAND_INS = {
    "text_lines": StandIn(LINES_ORIGIN, LICENCE, write_text_lines),
    "text_pages": StandIn(
        PAGES_ORIGIN,
        f"{LICENCE}; photographs: BSD-3-Clause, public domain, CC0 and CC BY 2.0",
        write_text_pages,
    ),
}
