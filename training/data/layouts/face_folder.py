"""Folders of faces, one a person, as AT&T's (s1/1.pgm) and LFW (Anna_Seghers/Anna_Seghers_0001.jpg) have them."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from training.data.dataset import Dataset, Split
from training.data.lazy import Files

DESCRIPTION = "faces: a folder for each person, of .pgm files, or of pictures named <person>_0001.jpg or .png"
NUMBERED = re.compile(r"_\d{4}\.(jpe?g|png)$", re.IGNORECASE)
FEWEST = 8  # people, so that there are two to tell apart when validating


def matches(path: Path) -> bool:
    """Is it a folder with folders of such files? Other names are left to ImageFolder, which looks the same."""
    return path.is_dir() and len(_people(path)) > 1


def read(path: Path) -> Dataset:
    """Every fourth person is for testing, every fifth of the others for validation: nobody is in two splits.

    Raises ValueError if there are too few people.
    """
    people = _people(path)
    if len(people) < FEWEST:
        raise ValueError(f"{path} has pictures of {len(people)} people; {FEWEST} is the least")
    test = people[::4]
    others = [person for person in people if person not in test]
    validation = others[::5]
    train = [person for person in others if person not in validation]
    return Dataset(_split(train), _split(validation), _split(test))


class Pictures(Files):
    """The contents of image files, .pgm files as PNG: that is what people send."""

    def item(self, place: int) -> bytes:
        data = super().item(place)
        if self.paths[place].suffix.lower() != ".pgm":
            return data
        buffer = io.BytesIO()
        Image.open(io.BytesIO(data), formats=("PPM",)).save(buffer, "PNG")
        return buffer.getvalue()


def _split(people: Sequence[Path]) -> Split:
    """Targets are names."""
    pictures = [(picture, person.name) for person in people for picture in _pictures(person)]
    return Split(Pictures([picture for picture, _ in pictures]), [name for _, name in pictures])


def _people(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and _pictures(folder))


def _pictures(person: Path) -> list[Path]:
    return sorted(file for file in person.iterdir() if _is_face(file, person.name))


def _is_face(file: Path, person: str) -> bool:
    named = file.name.startswith(f"{person}_") and NUMBERED.search(file.name) is not None
    return file.is_file() and (named or file.suffix.lower() == ".pgm")
