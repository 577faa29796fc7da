"""Scan of an archive's pickles for imports that could run any command, without loading them: by picklescan."""

import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from marina.errors import ModelImportError
from marina.packaging.imports.archive_contents import PICKLES

# How a pickle of protocol 2 to 5 begins, and a zip, in which torch.save puts one.
MAGIC = (*(bytes((0x80, protocol)) for protocol in range(2, 6)), b"PK\x03\x04")


def check(archive: Path, trusted: bool) -> None:
    """Raise ModelImportError for pickles with dangerous imports, unless the user has reviewed and `trusted` them."""
    found = [] if trusted else dangerous_imports(archive)
    if found:
        raise ModelImportError(
            f"{archive.name} is refused: a pickle in it could run any command when loaded, by {', '.join(found)}. "
            "Ask its owner for safetensors; if you have reviewed it, --trust-pickles signs it all the same"
        )


def dangerous_imports(archive: Path) -> list[str]:
    """Return each dangerous import as "member: module.name"; raises ModelImportError without the scanner."""
    try:
        from picklescan.scanner import SafetyLevel, scan_bytes
    except ImportError as exc:
        raise ModelImportError(
            f"{archive.name} can't be scanned: the package picklescan is not installed; `make install`"
        ) from exc
    found = []
    with zipfile.ZipFile(archive) as mar:
        for info in mar.infolist():
            suffix = PurePosixPath(info.filename).suffix.lower()
            with mar.open(info) as member, tempfile.TemporaryFile() as copy:
                begin = member.read(4)
                if suffix not in PICKLES and not begin.startswith(MAGIC):
                    continue
                copy.write(begin)
                shutil.copyfileobj(member, copy)
                copy.seek(0)
                scanned = scan_bytes(copy, info.filename, suffix)
            dangerous = [each for each in scanned.globals if each.safety is SafetyLevel.Dangerous]
            found += [f"{info.filename}: {each.module}.{each.name}" for each in dangerous]
            if scanned.scan_err and not dangerous:
                found.append(f"{info.filename}: it can't be read to its end")
    return list(dict.fromkeys(found))
