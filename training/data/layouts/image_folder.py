"""ImageFolder: a folder for each class; below train/ and test/, or with no splits."""

from pathlib import Path

from training.data.dataset import Dataset, Split, part, with_validation
from training.data.lazy import Files

DESCRIPTION = "ImageFolder: a folder of images for each class, below train/ and test/ (or val/) or straight in there"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
FEWEST = 3  # images a class, so that each split has one


def matches(path: Path) -> bool:
    """Is it a folder with folders of images in it?"""
    return path.is_dir() and len(_classes(path / "train" if (path / "train").is_dir() else path)) > 1


def read(path: Path) -> Dataset:
    """The splits of the folders; with none, a fifth of each class is for testing. A tenth of train is for validation.

    Raises ValueError if a class has too few images, or if the folders of train and test do not agree.
    """
    if not (path / "train").is_dir():
        labels = _classes(path)
        train, test = part(_split(path, labels), 0.2)
        return with_validation(Dataset(train, train, test, labels=labels))
    held_out = next((path / name for name in ("test", "val", "valid") if (path / name).is_dir()), None)
    labels = _classes(path / "train")
    train = _split(path / "train", labels)
    if held_out is None:
        train, test = part(train, 0.2)
    elif unknown := set(_classes(held_out)) - set(labels):
        raise ValueError(f"{held_out} has classes that {path / 'train'} lacks: {', '.join(sorted(unknown))}")
    else:
        test = _split(held_out, labels, fewest=0)
    return with_validation(Dataset(train, train, test, labels=labels))


def _split(path: Path, labels: tuple[str, ...], fewest: int = FEWEST) -> Split:
    files: list[Path] = []
    targets: list[int] = []
    for target, label in enumerate(labels):
        images = _images(path / label)
        if len(images) < fewest:
            raise ValueError(f"{path / label} holds {len(images)} images; {fewest} is the least")
        files += images
        targets += [target] * len(images)
    return Split(Files(files), targets)


def _classes(path: Path) -> tuple[str, ...]:
    return tuple(sorted(folder.name for folder in path.iterdir() if folder.is_dir() and _images(folder)))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
