"""Style transfer: a folder of pictures to learn styles from, and one of pictures to be made anew."""

from pathlib import Path

from training.data.dataset import Dataset, Split
from training.data.lazy import Files

DESCRIPTION = "styles: style/<name>.png, whose names users can ask for, and content/*.png (or .jpg and the like)"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}


def matches(path: Path) -> bool:
    """Are there both folders?"""
    return bool(_pictures(path / "style") and _pictures(path / "content"))


def read(path: Path) -> Dataset:
    """Train holds the styles, validation nothing; test holds the contents, with a style each in turn.

    Raises ValueError if two styles have one name.
    """
    styles, contents = _pictures(path / "style"), _pictures(path / "content")
    names = tuple(file.stem for file in styles)
    if len(set(names)) < len(names):
        raise ValueError(f"{path / 'style'} has two pictures of one name: {', '.join(names)}")
    known = Split(Files(styles), list(range(len(styles))))
    test = Split(Files(contents), [place % len(styles) for place in range(len(contents))])
    return Dataset(known, Split([], []), test, labels=names)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
