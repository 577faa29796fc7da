"""Image files in folders, and the folders of splits, whose names are written in many ways."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from marina.training.data.dataset import SOURCE_FILE, FileContents, Split

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
SPLIT_NAMES = {  # in lower case
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def images_in(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the image files in a folder, sorted; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes and file.is_file())


def split_folders(path: Path) -> dict[str, Path]:
    """Return the folders of splits in `path`: {"train": path / "TRAIN", ...}, in the order of SPLIT_NAMES.

    Raises ValueError if a split has two folders, such as val and validation.
    """
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    found: dict[str, Path] = {}
    for split, names in SPLIT_NAMES.items():
        named = [folder for folder in folders if folder.name.lower() in names]
        if len(named) > 1:
            raise ValueError(f"{path} has two folders for {split}: {named[0].name} and {named[1].name}; expected one")
        if named:
            found[split] = named[0]
    return found


def unused_files(path: Path, *splits: Split, also: Iterable[Path] = ()) -> dict[str, int]:
    """Return how many files at `path` are in none of the splits: {"images": 1, "other files": 2}, without empty kinds.

    The files of `also` are used, too: labels. Hidden files and SOURCE.json don't count.
    """
    known = {file for split in splits if isinstance(split.inputs, FileContents) for file in split.inputs.paths}
    known |= set(also)
    counts = Counter(
        "images" if file.suffix.lower() in IMAGE_SUFFIXES else "other files"
        for file in path.rglob("*")
        if file.is_file() and file not in known and file.name != SOURCE_FILE and not file.name.startswith(".")
    )
    return {kind: counts[kind] for kind in sorted(counts)}
