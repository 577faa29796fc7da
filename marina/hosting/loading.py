"""Loading of a handler from an archive, with the code that the archive contains.

An archive contains its own `handlers` and `models` packages. They must be the ones that its handler imports, unless the
installed packages are identical. So this module imports neither package itself: it first extends `sys.path`.
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
    """Return the handler class of an archive that was unpacked into `folder`.

    `handlers` and `models` are imported from the archive, as in a TorchServe worker, unless all of the archive's files
    are identical to the installed ones. Raises CodeConflictError if this process has already imported a package that
    differs: a Python process has only one `handlers` package.
    """
    for package in PACKAGES:
        _select_package(folder, package)
    file = folder / manifest["model"]["handler"]
    spec = spec_from_file_location(f"archived_{manifest['model']['modelName']}_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module in sys.modules
    spec.loader.exec_module(module)
    return only_class(module)


def _select_package(folder: Path, package: str) -> None:
    """Put `folder` first on `sys.path`, unless the installed `package` is identical to the one in `folder`."""
    spec = find_spec(package)
    installed = list(spec.submodule_search_locations or ()) if spec else []
    difference = _first_difference(folder / package, Path(installed[0])) if installed else ""
    if difference is None:
        return
    if package in sys.modules:
        raise CodeConflictError(
            f"the archive's {package}/{difference} differs from the one in {installed[0]}, which this process has "
            "already imported: open the archive in a process of its own"
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _first_difference(package: Path, installed: Path) -> Path | None:
    """Return the first file of the archive's package that is missing or differs in `installed`; None if all are equal.

    Both are folders of one package; the result is relative to them.
    """
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        counterpart = installed / path
        if not counterpart.is_file() or counterpart.read_bytes() != file.read_bytes():
            return path
    return None
