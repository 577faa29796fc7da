"""Contents of another team's TorchServe archive, read without unpacking it or running any of its code."""

import hashlib
import json
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from marina.errors import ModelImportError

MANIFEST = "MAR-INF/MANIFEST.json"
MAX_FILES = 10_000
MAX_MANIFEST = 1 << 20  # bytes
MAX_UNPACKED = 32 << 30  # bytes
MAX_RATIO, RATIO_FROM = 200, 100 << 20  # unpacked to packed, for archives that unpack to more bytes than this
# Handlers that TorchServe has itself: https://pytorch.org/serve, "Default handlers".
BUILT_IN = ("image_classifier", "image_segmenter", "object_detector", "text_classifier", "base_handler")
NAMED = ("serializedFile", "modelFile", "requirementsFile", "configFile")  # members that a manifest may name
CODE = (".py", ".pyc", ".so", ".sh", ".jar", ".whl", ".zip", ".gz")
PICKLES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # by TorchServe, too, which is written in Java


@dataclass(frozen=True)
class Member:
    """One file of the archive."""

    name: str
    size: int
    sha256: str

    @property
    def kind(self) -> str:
        """The kind of file: code, what may run code when it is loaded, or data."""
        suffix = PurePosixPath(self.name).suffix.lower()
        return "code" if suffix in CODE else "pickle or program" if suffix in PICKLES else "data"


@dataclass(frozen=True)
class ArchiveContents:
    """An archive that can be served: its `model` is that part of the manifest, `requirements` those of its file."""

    file: Path
    sha256: str
    model: dict[str, Any]
    members: list[Member]
    requirements: list[str]

    @property
    def handler(self) -> str:
        """The handler, for the user."""
        name = str(self.model["handler"])
        return f"{name}, of TorchServe" if name in BUILT_IN else name

    def lines(self) -> list[str]:
        """Return what the user has to see before they take responsibility for the archive."""
        named, total = self.model, sum(member.size for member in self.members)
        shown = [
            f"{self.file.name}: {len(self.members)} files, {total / 1e6:.1f} MB unpacked; sha256 {self.sha256}",
            f"manifest: {named['modelName']} {named['modelVersion']}, handler {self.handler}",
            *(f"  {one.name}  {one.size:,} bytes, {one.kind}, sha256 {one.sha256[:12]}" for one in self.members),
            f"requirements, which Marina does not install: {', '.join(self.requirements) or 'none'}",
        ]
        return ["".join(one if one.isprintable() else "?" for one in line) for line in shown]


def inspect(file: Path) -> ArchiveContents:
    """Read an archive. Raises ModelImportError if it is damaged, or not what torch-model-archiver writes."""
    if not file.is_file():
        raise ModelImportError(f"no file {file}: --weights takes a TorchServe archive (.mar)")
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    try:
        with zipfile.ZipFile(file) as mar:
            check_members(file, mar.infolist())
            model = manifest_of(file, mar)
            members = [_member(mar, info) for info in mar.infolist() if not info.is_dir()]
            requirements = _requirements(mar, model)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
        raise ModelImportError(f"{file.name} is truncated, damaged, or no TorchServe archive: {exc}") from exc
    return ArchiveContents(file, sha256, model, members, requirements)


def check_members(file: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Raise ModelImportError for names, links and sizes that must not be unpacked."""
    if len(infos) > MAX_FILES:
        raise ModelImportError(f"{file.name} has {len(infos)} files, over the limit of {MAX_FILES}")
    unpacked = sum(info.file_size for info in infos)
    ratio = unpacked / max(1, file.stat().st_size)
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_FROM and ratio > MAX_RATIO):
        raise ModelImportError(f"{file.name} unpacks to {unpacked:,} bytes, {ratio:.0f} times its size: a zip bomb?")
    seen: set[str] = set()
    for info in infos:
        name = info.filename.removesuffix("/")
        parts = name.split("/")
        mode = stat.S_IFMT(info.external_attr >> 16)
        plain = name.isprintable() and not any(odd in name for odd in "\\:")
        if not plain or any(part in ("", ".", "..") for part in parts):
            problem = "its path leaves the folder, or is no plain one"
        elif mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            problem = "it is a link or a device"
        elif info.flag_bits & 1:
            problem = "it is encrypted"
        elif info.compress_type not in READABLE:
            problem = "its compression is neither stored nor deflate"
        elif name in seen or any("/".join(parts[:depth]) in seen for depth in range(1, len(parts))):
            problem = "another file has this name, or that of its folder"
        else:
            if not info.is_dir():
                seen.add(name)
            continue
        raise ModelImportError(f"{file.name} is refused for its member {info.filename!r}: {problem}")


def manifest_of(file: Path, mar: zipfile.ZipFile) -> dict[str, Any]:
    """Return the `model` part of MANIFEST.json; raises ModelImportError if it names files that are not there."""
    names = set(mar.namelist())
    if MANIFEST not in names:
        raise ModelImportError(f"{file.name} has no {MANIFEST}: it is no TorchServe archive")
    if mar.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        raise ModelImportError(f"{file.name}: {MANIFEST} has over {MAX_MANIFEST} bytes")
    try:
        manifest = json.loads(mar.read(MANIFEST))
    except ValueError as exc:
        raise ModelImportError(f"{file.name}: {MANIFEST} is no JSON: {exc}") from exc
    model = manifest.get("model") if isinstance(manifest, dict) else None
    required = ("modelName", "modelVersion", "handler")
    if not (isinstance(model, dict) and all(isinstance(model.get(member), str) for member in required)):
        raise ModelImportError(f"{file.name}: {MANIFEST} needs `model` with {', '.join(required)}, each a text")
    for member in NAMED:
        if model.get(member) and model[member] not in names:
            raise ModelImportError(f"{file.name}: its manifest names the {member} {model[member]!r}, which it lacks")
    module = model["handler"].partition(":")[0]
    if module not in BUILT_IN and not {module, f"{module}.py"} & names:
        raise ModelImportError(
            f"{file.name}: its handler {model['handler']!r} is neither in it nor one of {', '.join(BUILT_IN)}"
        )
    return model


def _member(mar: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    """Return one file; reading all of it checks its CRC."""
    digest = hashlib.sha256()
    with mar.open(info) as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return Member(info.filename, info.file_size, digest.hexdigest())


def _requirements(mar: zipfile.ZipFile, model: dict[str, Any]) -> list[str]:
    """Return the lines of the requirements file."""
    if not (name := model.get("requirementsFile")):
        return []
    lines = mar.read(name).decode("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
