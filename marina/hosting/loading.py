"""Loading of handlers: from an archive, or from the `handlers` package for a folder of artifacts.

Only this module imports what an archive brings along, and only inside functions: the archive's own `handlers` and
`models` packages are to be the ones that are imported, unless identical ones are installed.
"""

import json
import sys
import zipfile
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from marina.errors import CodeConflictError
from marina.handler_lookup import only_class
from marina.packaging.verify import verify

MANIFEST = "MAR-INF/MANIFEST.json"
PACKAGES = ("handlers", "models")


def unpack(archive: Path, public_key: Path, folder: Path) -> dict[str, Any]:
    """Verify the archive, unpack it into `folder` and return its manifest.

    Raises NotVerifiedError unless it was signed with the key behind `public_key` (PEM).
    """
    verify(archive, public_key)
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder)
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def archived_handler(folder: Path, manifest: dict[str, Any]) -> Any:
    """Return the handler class of an unpacked archive.

    Its packages come from the archive, as in a TorchServe worker; from where they are installed only if each of the
    archive's files is the same there. Raises CodeConflictError if other versions of them were imported before: Python
    has one `handlers` package in a process.
    """
    for package in PACKAGES:
        _choose_code(folder, package)
    file = folder / manifest["model"]["handler"]
    spec = spec_from_file_location(f"archived_{manifest['model']['modelName']}_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return only_class(module)


def _choose_code(folder: Path, package: str) -> None:
    """Put `folder` first on the import path, unless `package` can be imported with the same code already."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    changed = _changed(folder / package, Path(places[0])) if places else ""
    if changed is None:
        return
    if package in sys.modules:
        raise CodeConflictError(
            f"the archive's {package}/{changed} is not the one in {places[0]}, which this process has imported: "
            "open the archive in a process of its own"
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _changed(package: Path, installed: Path) -> Path | None:
    """Return a file of the archive's package that is missing or different where it is installed; None if all are the
    same there.
    """
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        other = installed / path
        if not other.is_file() or other.read_bytes() != file.read_bytes():
            return path
    return None
