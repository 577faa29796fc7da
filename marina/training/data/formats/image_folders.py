"""Folders of images whose names are the labels: ImageFolder, and face recognition sets with a folder per person."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from marina.training.data.dataset import (
    UNDIVIDED,
    Dataset,
    FileContents,
    Format,
    Split,
    divided,
    with_missing_splits,
)
from marina.training.data.formats.image_to_image import read_domain_folders
from marina.training.data.image_files import SPLIT_NAMES, images_in, split_folders, unused_files

TEST_SHARE = 0.2  # of each class, where there are no folders of splits
MIN_IMAGES = 3  # of a class, so that each split has one
MIN_CLASSES = 2
MIN_PEOPLE = 8  # so that validation has two people to distinguish
NUMBERED = re.compile(r"_\d{4}\.(jpe?g|png)$", re.IGNORECASE)  # the end of LFW's file names


def is_image_folder(path: Path) -> bool:
    """Check for folders of splits with images, or for at least two folders with images."""
    return path.is_dir() and (bool(_splits(path)) or len(_classes(path)) > 1)


def read_image_folder(path: Path) -> Dataset:
    """Read a folder of images for each class, directly or in folders of splits: train, val, test, in any case.

    Splits are used as given. A missing test split is a fifth of each class of train, a missing validation split a tenth
    of train; without splits, both are taken from the whole. Raises ValueError if a class has too few images, if train
    is missing or has fewer than two classes, and if another split has no images or a class that train lacks.
    """
    folders = _splits(path)
    if not folders:
        everything = _labelled(path, _classes(path))
        return divided(everything, TEST_SHARE, labels=_classes(path), unused=unused_files(path, everything))
    labels = _classes(folders["train"]) if "train" in folders else ()
    if len(labels) < MIN_CLASSES:
        found = ", ".join(f"{folder.name}/: {len(_classes(folder))} classes" for folder in folders.values())
        raise ValueError(
            f"{path} has unusable splits ({found}); expected train/<class>/ with {MIN_CLASSES} classes or more"
        )
    minimum = MIN_IMAGES if len(folders) < len(SPLIT_NAMES) else 1
    splits = {"train": _labelled(folders.pop("train"), labels, minimum)}
    splits |= {name: _split_of(folder, labels) for name, folder in folders.items()}
    unused = unused_files(path, *splits.values())
    return with_missing_splits(splits, TEST_SHARE, labels=labels, unused=unused)


def has_class_folders(path: Path) -> bool:
    """Check for folders of classes, in a folder of a split or directly; images/ and folders of splits are none."""
    folders = split_folders(path)
    classes = set(_classes(path)) - {folder.name for folder in folders.values()} - {"images"}
    return len(classes) > 1 or any(_classes(folder) for folder in folders.values())


def _splits(path: Path) -> dict[str, Path]:
    """The folders of splits. A folder called train between other folders of images is a class (of vehicles)."""
    folders = split_folders(path)
    classes = set(_classes(path))
    only_splits = bool(classes) and classes <= {folder.name for folder in folders.values()}
    return folders if only_splits or any(_classes(folder) for folder in folders.values()) else {}


def _split_of(folder: Path, labels: Sequence[str]) -> Split:
    found = _classes(folder)
    if not found:
        raise ValueError(f"{folder} has no folders of images; expected the classes of train: {', '.join(labels)}")
    if unknown := set(found) - set(labels):
        raise ValueError(f"{folder} has classes that train lacks: {', '.join(sorted(unknown))}")
    return _labelled(folder, labels, minimum=0)


def _labelled(path: Path, labels: Sequence[str], minimum: int = MIN_IMAGES) -> Split:
    files: list[Path] = []
    targets: list[int] = []
    for target, label in enumerate(labels):
        images = images_in(path / label)
        if len(images) < minimum:
            raise ValueError(f"{path / label} holds {len(images)} images; the minimum is {minimum}")
        files += images
        targets += [target] * len(images)
    return Split(FileContents(files), targets)


def _classes(path: Path) -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in path.iterdir() if folder.is_dir() and images_in(folder)))


def is_face_folder(path: Path) -> bool:
    """Check for folders of faces. Folders with other file names are left to ImageFolder, which has the same shape."""
    return path.is_dir() and len(_people(path)) > 1


def read_face_folder(path: Path) -> Dataset:
    """Read a folder for each person, as AT&T's (s1/1.pgm) and LFW (Anna_Seghers/Anna_Seghers_0001.jpg).

    Targets are the names of the people. Every fourth person is for testing, every fifth of the others for validation:
    no person is in two splits. Raises ValueError if there are too few people.
    """
    people = _people(path)
    if len(people) < MIN_PEOPLE:
        raise ValueError(f"{path} has images of {len(people)} people; the minimum is {MIN_PEOPLE}")
    test = people[::4]
    others = [person for person in people if person not in test]
    validation = others[::5]
    train = [person for person in others if person not in validation]
    splits = [_faces(group) for group in (train, validation, test)]
    return Dataset(splits[0], splits[1], splits[2], splits=UNDIVIDED, unused=unused_files(path, *splits))


class FaceImages(FileContents):
    """The contents of image files; .pgm files are converted to PNG, which is what clients send."""

    def item(self, index: int) -> bytes:
        data = super().item(index)
        if self.paths[index].suffix.lower() != ".pgm":
            return data
        buffer = io.BytesIO()
        Image.open(io.BytesIO(data), formats=("PPM",)).save(buffer, "PNG")
        return buffer.getvalue()


def _faces(people: Sequence[Path]) -> Split:
    images = [(image, person.name) for person in people for image in _images_of(person)]
    return Split(FaceImages([image for image, _ in images]), [name for _, name in images])


def _people(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and _images_of(folder))


def _images_of(person: Path) -> list[Path]:
    return sorted(file for file in person.iterdir() if _is_face(file, person.name))


def _is_face(file: Path, person: str) -> bool:
    numbered = file.name.startswith(f"{person}_") and NUMBERED.search(file.name) is not None
    return file.is_file() and (numbered or file.suffix.lower() == ".pgm")


FORMATS = (
    Format(
        "image_folder",
        "ImageFolder: a folder of images for each class, under train/, val/ and test/ (in any case) or directly",
        is_image_folder,
        read_image_folder,
        views={"image_translation": read_domain_folders},
    ),
    Format(
        "face_folder",
        "faces: a folder for each person, of .pgm files, or of images named <person>_0001.jpg or .png",
        is_face_folder,
        read_face_folder,
    ),
)
