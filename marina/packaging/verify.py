"""Verification of archives. Stands alone: it needs the `cryptography` package and nothing of Marina.

    python marina/packaging/verify.py PUBLIC_KEY ARCHIVE...

The signature (Ed25519, RFC 8032) lies beside the archive in ARCHIVE.sig and covers its name, version and SHA-256:
neither a changed byte nor a renamed file passes.
"""

import base64
import binascii
import hashlib
import json
import sys
import zipfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


class NotVerifiedError(Exception):
    """The archive must not be served; the message gives its name and the reason."""


def identity(archive: Path) -> tuple[str, str]:
    """Return name and version from the file name `<name>-<version>.mar`; raise NotVerifiedError for any other form."""
    name, dash, version = archive.stem.rpartition("-")
    if archive.suffix != ".mar" or not (name and dash and version):
        raise NotVerifiedError(f"{archive.name}: the name is not <name>-<version>.mar")
    return name, version


def signature_of(archive: Path) -> Path:
    """Return the path of the signature that belongs to `archive`."""
    return archive.with_name(archive.name + ".sig")


def statement(archive: Path) -> bytes:
    """Return the bytes that are signed: name, version and SHA-256 as JSON with sorted keys."""
    name, version = identity(archive)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps({"name": name, "sha256": digest, "version": version}, sort_keys=True).encode()


def manifest_of(archive: Path) -> dict[str, str]:
    """Return the `model` part of the archive's MANIFEST.json: modelName, modelVersion, handler, ...

    Raises NotVerifiedError for a file that is no TorchServe archive.
    """
    try:
        with zipfile.ZipFile(archive) as mar:
            model = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as exc:
        raise NotVerifiedError(f"{archive.name}: not a TorchServe archive ({exc})") from exc
    assert isinstance(model, dict)
    return model


def verify(archive: Path, public_key: Path) -> None:
    """Raise NotVerifiedError unless `archive` is what was signed with the key behind `public_key` (PEM)."""
    if not archive.is_file():
        raise NotVerifiedError(f"{archive.name}: no such archive")
    if not public_key.is_file():
        raise NotVerifiedError(f"{archive.name}: no public key at {public_key}")
    if not signature_of(archive).is_file():
        raise NotVerifiedError(f"{archive.name}: it is not signed; if you trust it, `make sign MAR={archive}`")
    key = load_pem_public_key(public_key.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise NotVerifiedError(f"{archive.name}: {public_key} is not an Ed25519 key")
    try:
        key.verify(base64.b64decode(signature_of(archive).read_bytes().strip(), validate=True), statement(archive))
    except (InvalidSignature, binascii.Error) as exc:
        raise NotVerifiedError(f"{archive.name}: signature mismatch; it was changed or renamed") from exc
    manifest = manifest_of(archive)
    if (manifest.get("modelName"), manifest.get("modelVersion")) != identity(archive):
        raise NotVerifiedError(f"{archive.name}: its manifest names another model or version")


def main(public_key: str, *archives: str) -> int:
    """Print a line for each archive, and return the exit status: 1 if any is refused."""
    refused = 0
    for archive in map(Path, archives):
        try:
            verify(archive, Path(public_key))
            print(f"ok      {archive.name}")
        except NotVerifiedError as exc:
            refused += 1
            print(f"REFUSED {exc}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
