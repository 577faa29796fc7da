"""Stand-ins: small data sets in public formats, written from data that installed packages ship.

Each module has STAND_INS, by name. Modules are imported on use only: some of the packages take seconds to import. A
module that MODULES does not list has one stand-in, named like itself: a task of the user's own needs no entry here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

MODULES = {  # name of the stand-in -> module that writes it
    "breast_cancer": "packaged",
    "coco_digits": "digit_scenes",
    "digits_ab": "digits",
    "en_zh": "english_chinese",
    "housing": "packaged",
    "invoices": "synthetic_invoices",
    "mnist": "digits",
    "mnist_m": "digits",
    "mnist_m_folder": "digits",
    "newsgroups": "packaged",
    "orl_faces": "packaged",
    "photographs": "photographs",
    "reviews": "packaged",
    "styles": "packaged",
    "text_lines": "synthetic_text",
    "text_pages": "synthetic_text",
    "ucf101_motions": "moving_digits",
    "voc_digits": "digit_scenes",
}


@dataclass(frozen=True)
class StandIn:
    """A stand-in: where its data comes from, the licences, and the function that writes it into an empty folder.

    `write` is deterministic: the same bytes on every call. Their checksum is part of the fingerprints of trained
    models.
    """

    origin: str
    licence: str
    write: Callable[[Path], None]


def stand_ins() -> list[str]:
    """Return the names of all stand-ins, sorted."""
    unlisted = {module.name for module in iter_modules(__path__)} - {*MODULES.values()}
    return sorted({*MODULES} | unlisted)


def stand_in(name: str) -> StandIn:
    """Return the stand-in with this name. Raises KeyError if there is none."""
    if name not in stand_ins():
        raise KeyError(name)
    module = import_module(f"{__name__}.{MODULES.get(name, name)}")
    found: StandIn = module.STAND_INS[name]
    return found
