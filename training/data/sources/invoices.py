"""Electronic invoices, drawn with the fonts that packages ship, of companies that do not exist."""

import json
from pathlib import Path

import numpy as np

from training.data.forms import draw
from training.data.invoice_content import PLACES, Words, invoice
from training.data.phrases import Phrases, chinese_words, pick
from training.data.rendering import FONTS, NOTO, Face
from training.data.sheet import scan
from training.data.sources import text_lines
from training.data.sources.text_lines import jpeg

ORIGIN = (
    "drawn pages, 1280 pixels wide: the form of a Chinese electronic VAT invoice, scanned a little askew, with "
    "companies, goods and sums that are made up, and add up; beside each its fields and lines. No word of a name and "
    "no long number is in both splits"
)
NOTE = (
    "All invoices are drawn, none is real, and all have one form, without a cipher area or a seal. The fonts are those "
    "trained on: test pages differ in weights, slants and widths, not in the face."
)
LICENCE = text_lines.LICENCE
COUNTS = {"train": 160, "test": 50}
OPENINGS = {"train": "13579", "test": "2468"}  # the first digits of long numbers
CHINESE = {  # weights, slants, widths: no value is in both
    "train": ((0.0, 1.0, 2.0), (0.0, 0.0, 0.1), (0.8, 0.9, 1.0)),
    "test": ((0.5, 1.5), (0.05,), (0.85, 0.95)),
}
LATIN = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSans", "DejaVuSerif", "cmtt10")


def write(folder: Path) -> None:
    """Write train/ and test/: each image with a JSON of the same name beside it."""
    (folder / "NOTE.txt").write_text(NOTE, encoding="utf-8")
    random = np.random.default_rng(0)
    for place, (split, count) in enumerate(COUNTS.items()):
        words = Words(Phrases(chinese_words()[place], chinese=True), OPENINGS[split])
        (folder / split).mkdir()
        for number in range(count):
            fields = invoice(words, random)
            weight, slant, width = (float(random.choice(values)) for values in CHINESE[split])
            latin = Face(FONTS / f"{pick(LATIN, random)}.ttf", weight / 2, 0.0, width)
            people = [words.name(random) for _ in range(3)]
            sheet = draw(fields, Face(NOTO, weight, slant, width), latin, pick(PLACES, random), people, random)
            image, lines = scan(sheet, random)
            rows = [{"box": [round(corner, 1) for corner in box], "text": text} for box, text in lines]
            file = folder / split / f"invoice_{number:04}.jpg"
            file.write_bytes(jpeg(image, random))
            truth = json.dumps({"fields": fields, "lines": rows}, ensure_ascii=False)
            file.with_suffix(".json").write_text(truth, encoding="utf-8")
