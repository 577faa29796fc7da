"""Data sets. The public on-disk format is the interface: the same code reads the stand-in and the real data set.

`formats/` holds the readers, `standins/` the writers of the stand-ins. `find` takes the name of a data set (a folder
under data/) or a path.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from marina.training.data import formats
from marina.training.data.dataset import GIVEN, HELD_OUT, Dataset, Format, Split
from marina.training.data.provenance import DATA_FOLDER, Kind, checksum, ensure_stand_in, kind_of
from marina.training.data.standins import stand_ins

__all__ = ["Dataset", "DatasetSource", "Split", "UnknownDataError", "find", "known_formats", "stand_ins"]

SHOWN_LABELS = 10  # in the summary of a data set
FALLBACKS = ("image_folder", "csv_table")  # they accept any folders of images, and any CSV


class UnknownDataError(LookupError):
    """There is no such data set, or its files are of no known format."""


@dataclass(frozen=True)
class DatasetSource:
    """A data set on disk. `kind` is "embedded" only if its files are, byte for byte, those of the stand-in.

    `target` is the column of a table that the user chose, and is part of `sha256`.
    """

    name: str
    path: Path
    format: Format
    sha256: str
    kind: Kind
    target: str = ""

    @property
    def own_path(self) -> Path | None:
        """The absolute path of a user's own files; None for a data set that is found by its name."""
        return None if _is_name(self.name) else Path(self.name).resolve()

    @property
    def short_name(self) -> str:
        """The name of the data set, or that of the user's own folder or file."""
        return self.name if self.own_path is None else self.own_path.name

    def load(self, task: str = "") -> Dataset:
        """Read the whole data set as `task` needs it; the splits are the same on every call."""
        return self.format.load(self.path, task, self.target)

    def summary(self, data: Dataset) -> str:
        """Return in one line what was found: format, classes, sizes, the origin of the splits, and unused files.

        Such as "mine: image_folder, 2 classes (cat, dog), 21 + 3 + 6 examples (train, validation, test): test and
        validation held out".
        """
        inner = "" if self.path.name == Path(self.name).name else f" in {self.path.name}/"
        sizes = " + ".join(map(str, data.sizes.values()))
        return (
            f"{self.short_name}: {self.format.name}{inner}{_contents(data)}, {sizes} examples "
            f"({', '.join(data.sizes)}): {_origins(data)}{_unused(data)}"
        )


def known_formats() -> list[Format]:
    """Return every format, in the order of the names; last are those that accept any images or CSV."""
    modules = [import_module(f"{formats.__name__}.{module.name}") for module in iter_modules(formats.__path__)]
    found = [one for module in modules for one in module.FORMATS]
    return sorted(found, key=lambda one: (one.name in FALLBACKS, one.name))


def find(name: str, target: str = "") -> DatasetSource:
    """Return the data set with this name, after writing its stand-in if there is no data yet, or the one at this path.

    With a `target`, only tables are considered. Raises UnknownDataError if there is none, or if its files are of no
    known format.
    """
    if name in stand_ins():
        ensure_stand_in(name)
    path = DATA_FOLDER / name if _is_name(name) else Path(name)
    if not path.exists():
        raise UnknownDataError(f"no data set {name!r}: give its path, or one of these names: {', '.join(stand_ins())}")
    inner = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    for folder in (path, *inner):  # archives unpack into an inner folder, such as cifar-10-batches-py
        for one in formats_for(target):
            if one.matches(folder):
                digest = checksum(path)
                kind = kind_of(path, digest)
                digest = sha256(f"{digest} {target}".encode()).hexdigest() if target else digest
                return DatasetSource(name, folder, one, digest, kind, target)
    descriptions = "\n".join(f"  {one.description}" for one in formats_for(target))
    raise UnknownDataError(f"the files in {path} are of none of the known formats:\n{descriptions}")


def formats_for(target: str) -> list[Format]:
    """Return every format, or those of tables if a target is chosen."""
    return [one for one in known_formats() if one.tables or not target]


def _contents(data: Dataset) -> str:
    if data.contents:
        return f", {data.contents}"
    if not data.labels:
        return ""
    shown = ", ".join((*data.labels[:SHOWN_LABELS], *["..."][: len(data.labels) - SHOWN_LABELS]))
    return f", {len(data.labels)} class{'es' * (len(data.labels) > 1)} ({shown})"


def _origins(data: Dataset) -> str:
    """The origins of test and validation in words; train is what is left."""
    words = {GIVEN: "as given", HELD_OUT: "held out from train" if data.splits["train"] == GIVEN else HELD_OUT}
    names: dict[str, list[str]] = {}
    for split in ("test", "validation"):
        names.setdefault(data.splits[split], []).append(split)
    return ", ".join(f"{' and '.join(splits)} {words.get(origin, origin)}" for origin, splits in names.items())


def _unused(data: Dataset) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in data.unused.items())
    return f"; {sum(data.unused.values())} files unused ({kinds})" if kinds else ""


def _is_name(name: str) -> bool:
    """Check for the name of a folder under data/; anything else is a path."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and (DATA_FOLDER / path).is_dir()
