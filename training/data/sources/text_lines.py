"""Lines of text, drawn with the fonts that packages ship: two in Latin script, then one in Chinese."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from training.data.phrases import Phrases, chinese_words, latin_words
from training.data.rendering import FONTS, NOTO, Face, glyphs, paper, printed, scanned

ORIGIN = (
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
COUNTS = {"train": 10_000, "test": 1_600}
STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
LATIN = {  # families, each as often as any other
    "train": (
        [f"DejaVuSans{style}" for style in STYLES],
        [f"DejaVuSansMono{style}" for style in STYLES],
        [f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")],
        ["cmr10", "cmb10", "cmti10", "cmtt10"],
    ),
    "test": (["STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"], ["cmss10"]),
}
# (weights, slants, widths) of the one face for Chinese: no value is in both.
CHINESE = {
    "train": ((0.0, 1.0, 2.0), (-0.3, -0.1, 0.0, 0.1, 0.3), (0.75, 1.0, 1.25)),
    "test": ((0.5, 1.5), (-0.2, 0.2), (0.85, 1.15)),
}


def write(folder: Path) -> None:
    """Write train/ and test/: gt.txt, with a file name and a transcript on each line, and the images beside it."""
    (folder / "NOTE.txt").write_text(NOTE, encoding="utf-8")
    random = np.random.default_rng(0)
    for place, (split, count) in enumerate(COUNTS.items()):
        scripts = [Phrases(words()[place], chinese) for words, chinese in ((latin_words, False), (chinese_words, True))]
        (folder / split).mkdir()
        lines = []
        for number in range(count):
            phrases = scripts[number % 3 == 2]
            text = phrases.line(random)
            face = chinese_face(split, random) if phrases.chinese else latin_face(split, random)
            file = f"line_{number:05}.jpg"
            (folder / split / file).write_bytes(jpeg(drawn(text, face, random), random))
            lines.append(f"{file}\t{text}\n")
        (folder / split / "gt.txt").write_text("".join(lines), encoding="utf-8")


def latin_face(split: str, random: np.random.Generator) -> Face:
    """Faces of the test split are drawn as they are, those to train on with a little of everything."""
    family = LATIN[split][random.integers(len(LATIN[split]))]
    file = FONTS / f"{family[random.integers(len(family))]}.ttf"
    if split == "test":
        return Face(file)
    return Face(file, float(random.choice((0.0, 0.0, 0.5, 1.0))), random.uniform(-0.1, 0.3), random.uniform(0.65, 1.25))


def chinese_face(split: str, random: np.random.Generator) -> Face:
    weight, slant, width = (float(random.choice(values)) for values in CHINESE[split])
    return Face(NOTO, weight, slant, width)


def drawn(text: str, face: Face, random: np.random.Generator) -> Image.Image:
    """The line on a strip of paper a little larger than itself, slightly turned; one in ten light on dark."""
    mask = glyphs(text, face)
    mask = mask.rotate(random.uniform(-1, 1), Image.Resampling.BILINEAR, expand=True)
    height = int(random.integers(22, 41))
    mask = mask.resize((max(1, round(mask.width * height / mask.height)), height), Image.Resampling.BOX)
    left, right, top, bottom = random.integers(1, 1 + height // 4, size=4).tolist()
    strip = Image.new("L", (left + mask.width + right, top + height + bottom))
    strip.paste(mask, (left, top))
    grey = printed(paper(strip.width, strip.height, random), strip, random.uniform(0, 90))
    return scanned(255 - grey if random.random() < 0.1 else grey, random)


def jpeg(picture: Image.Image, random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(random.integers(60, 95)))
    return buffer.getvalue()
