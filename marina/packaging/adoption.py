"""Adoption of an archive from elsewhere, under its own name: checked, copied into the store, and signed there."""

import shutil
import tempfile
from pathlib import Path

from marina.errors import ModelImportError, WeightsExistError
from marina.packaging.imports import archive_contents, pickle_scan
from marina.packaging.sign import place_signed
from marina.packaging.verify import archive_name


def adopt(mar: Path, store: Path, keys: Path, replace: bool = False, trust_pickles: bool = False) -> Path:
    """Copy an archive into the store under the name and version of its manifest, sign it, and return its path.

    What is checked is what is signed: a private copy. Raises ModelImportError for what must not be unpacked and for
    dangerous pickles, NotVerifiedError for a name that no archive can have, and WeightsExistError where the store has
    another archive of that name and may not `replace` it.
    """
    contents = archive_contents.inspect(mar)
    target = store / archive_name(contents.model["modelName"], contents.model["modelVersion"])
    taken = target.exists() and not (replace or target.samefile(mar))
    if taken and archive_contents.inspect(target).sha256 != contents.sha256:
        raise WeightsExistError(f"{target} exists and is another archive: REPLACE=1 (--replace) replaces it")
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{target.stem}-") as folder:
        copied = Path(folder) / mar.name
        shutil.copyfile(mar, copied)
        if archive_contents.inspect(copied).sha256 != contents.sha256:
            raise ModelImportError(f"{mar} was changed while it was read: sign it again")
        pickle_scan.check(copied, trust_pickles)
        place_signed(copied, target, keys)
    return target
