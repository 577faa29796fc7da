"""Data sets. The public on-disk layout is the interface: the stand-in and the real thing are read by the same code.

`layouts/` holds one reader for each layout, `sources/` one writer for each embedded stand-in; both are found by file
name. `find` takes the name of a data set (a folder under data/) or a path.
"""

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

from training.data.checksum import FACTS, checksum
from training.data.dataset import Dataset, Split
from training.data.embedded import DATA, ensure, stand_ins

__all__ = ["Dataset", "Found", "Split", "UnknownData", "find", "known_layouts", "stand_ins"]

ANY = "image_folder"


class UnknownData(LookupError):  # noqa: N818 - said to a user, not to a programmer
    """There is no such data set, or its files are of no layout that is known."""


@dataclass(frozen=True)
class Found:
    """A data set on disk. `kind` is "embedded" only as long as its files are, byte for byte, the stand-in's."""

    name: str
    path: Path
    layout: ModuleType
    sha256: str
    kind: Literal["embedded", "real"]

    def load(self, task: str = "") -> Dataset:
        """Read it, whole, as `task` needs it; the splits are the same each time.

        A layout with several kinds of answers has a reader for each, by task, in VIEWS; `read` is for all other tasks.
        """
        data = getattr(self.layout, "VIEWS", {}).get(task, self.layout.read)(self.path)
        assert isinstance(data, Dataset)
        return data


def known_layouts() -> list[ModuleType]:
    """Every layout, in the order of their names; ImageFolder last, for it takes any folders of images."""
    files = sorted((Path(__file__).parent / "layouts").glob("*.py"), key=lambda file: (file.stem == ANY, file.stem))
    return [import_module(f"training.data.layouts.{file.stem}") for file in files if file.stem != "__init__"]


def find(name: str) -> Found:
    """The data set called `name`, whose stand-in is written if there is nothing yet, or the one at the path `name`.

    Raises UnknownData if there is none, or if its files are of no layout.
    """
    if name in stand_ins():
        ensure(name)
    path = DATA / name if (DATA / name).is_dir() else Path(name)
    if not path.exists():
        raise UnknownData(f"no data set {name!r}: give the path of one, or a name out of {', '.join(stand_ins())}")
    inner = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    for place in (path, *inner):  # archives unpack into a folder of their own, such as cifar-10-batches-py
        for layout in known_layouts():
            if layout.matches(place):
                digest = checksum(path)
                return Found(name, place, layout, digest, _kind(path, digest))
    known = "\n".join(f"  {layout.DESCRIPTION}" for layout in known_layouts())
    raise UnknownData(f"the files in {path} are of none of the layouts that are known:\n{known}")


def _kind(folder: Path, digest: str) -> Literal["embedded", "real"]:
    facts = folder / FACTS
    if facts.is_file() and json.loads(facts.read_text(encoding="utf-8"))["sha256"] == digest:
        return "embedded"
    return "real"
