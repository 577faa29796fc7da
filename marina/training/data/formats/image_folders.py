"""Folders of images whose names are the labels: ImageFolder, and face recognition sets with a folder per person."""

import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from PIL import Image

from marina.training.data.dataset import (
    UNDIVIDED,
    Dataset,
    FileContents,
    Format,
    Split,
    divided,
    hold_out,
    with_validation,
)

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
TEST_SHARE = 0.2  # of each class, where there are no folders of splits
MIN_IMAGES = 3  # of a class, so that each split has one
MIN_PEOPLE = 8  # so that validation has two people to distinguish
NUMBERED = re.compile(r"_\d{4}\.(jpe?g|png)$", re.IGNORECASE)  # the end of LFW's file names


def images_in(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the image files in a folder, sorted; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes and file.is_file())


def is_image_folder(path: Path) -> bool:
    """Check for a folder that has at least two folders with images, directly or in train/."""
    return path.is_dir() and len(_classes(path / "train" if (path / "train").is_dir() else path)) > 1


def read_image_folder(path: Path) -> Dataset:
    """Read a folder of images for each class, under train/ and test/ (or val/) or directly.

    Without splits, a fifth of each class is for testing. A tenth of train is for validation. Raises ValueError if a
    class has too few images, or if test has a class that train lacks.
    """
    if not (path / "train").is_dir():
        labels = _classes(path)
        return divided(_labelled(path, labels), TEST_SHARE, labels=labels)
    held_out = next((path / name for name in ("test", "val", "valid") if (path / name).is_dir()), None)
    labels = _classes(path / "train")
    train = _labelled(path / "train", labels)
    if held_out is None:
        train, test = hold_out(train, TEST_SHARE)
    elif unknown := set(_classes(held_out)) - set(labels):
        raise ValueError(f"{held_out} has classes that {path / 'train'} lacks: {', '.join(sorted(unknown))}")
    else:
        test = _labelled(held_out, labels, minimum=0)
    return with_validation(train, test, labels=labels)


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
    return Dataset(_faces(train), _faces(validation), _faces(test), splits=UNDIVIDED)


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
        "ImageFolder: a folder of images for each class, under train/ and test/ (or val/) or directly",
        is_image_folder,
        read_image_folder,
    ),
    Format(
        "face_folder",
        "faces: a folder for each person, of .pgm files, or of images named <person>_0001.jpg or .png",
        is_face_folder,
        read_face_folder,
    ),
)
