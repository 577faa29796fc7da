"""Adoption of another team's archive: into the store under a name and version of its own, signed."""

import json
import shutil
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from marina.errors import ModelImportError, WeightsExistError
from marina.files import write_atomic
from marina.packaging.imports import pickle_scan
from marina.packaging.imports.archive_contents import MANIFEST, ArchiveContents, inspect
from marina.packaging.sign import place_signed
from marina.packaging.verify import archive_name

LARGE = 1 << 31  # bytes of a member that needs zip64


def import_as(
    name: str,
    version: str,
    contents: ArchiveContents,
    store: Path,
    keys: Path,
    replace: bool,
    trust_pickles: bool = False,
) -> Path:
    """Put the archive into the store as NAME-VERSION.mar, sign it, record its origin, and return its path.

    Only the name and version in its manifest are changed. Raises WeightsExistError if the store has that archive,
    unless an import put it there and may `replace` it, and ModelImportError for dangerous pickles.
    """
    target = store / archive_name(name, version)
    check_replaceable(target, replace)
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{name}-") as folder:
        copied = Path(folder) / contents.file.name
        shutil.copyfile(contents.file, copied)
        if inspect(copied).sha256 != contents.sha256:
            raise ModelImportError(f"{contents.file} was changed while it was read: import it again")
        pickle_scan.check(copied, trust_pickles)
        if (contents.model["modelName"], contents.model["modelVersion"]) != (name, version):
            copied = renamed(copied, name, version)
        place_signed(copied, target, keys)
    origin = {
        "file": contents.file.name,
        "sha256": contents.sha256,
        "model": contents.model,
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomic(record_of(target), json.dumps(origin, ensure_ascii=False, indent=1) + "\n")
    return target


def check_replaceable(target: Path, replace: bool) -> None:
    """Raise WeightsExistError if the archive exists, unless an import put it there and may `replace` it."""
    if not target.exists():
        return
    if not record_of(target).exists():
        raise WeightsExistError(f"{target} exists, and no import put it there: choose another name or --version")
    if not replace:
        raise WeightsExistError(f"{target} exists: another --version imports beside it, --replace replaces it")


def record_of(target: Path) -> Path:
    """Return the path of the record of an imported archive's origin."""
    return target.with_name(f"{target.name}.imported.json")


def renamed(archive: Path, name: str, version: str) -> Path:
    """Return a copy whose manifest has this name and version; all other files are the same."""
    target = archive.with_name("renamed")
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(target, "w") as after:
        for info in before.infolist():
            copy = zipfile.ZipInfo(info.filename, info.date_time)
            copy.compress_type, copy.external_attr = info.compress_type, info.external_attr
            if info.filename == MANIFEST:
                manifest = json.loads(before.read(info))
                manifest["model"] |= {"modelName": name, "modelVersion": version}
                after.writestr(copy, json.dumps(manifest, indent=2))
            elif info.is_dir():
                after.writestr(copy, b"")
            else:
                with before.open(info) as read, after.open(copy, "w", force_zip64=info.file_size >= LARGE) as write:
                    shutil.copyfileobj(read, write)
    return target
