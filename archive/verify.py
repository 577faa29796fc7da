"""Is this archive the one that was signed? Stands alone: needs the `cryptography` package and nothing of Marina.

    python archive/verify.py PUBLIC_KEY ARCHIVE...

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
    """The archive must not be served; the message names it and says why."""


def identity(archive: Path) -> tuple[str, str]:
    """Name and version by the file name `<name>-<version>.mar`; raises NotVerifiedError for any other form."""
    name, dash, version = archive.stem.rpartition("-")
    if archive.suffix != ".mar" or not (name and dash and version):
        raise NotVerifiedError(f"{archive.name}: the name is not <name>-<version>.mar")
    return name, version


def signature_of(archive: Path) -> Path:
    return archive.with_name(archive.name + ".sig")


def statement(archive: Path) -> bytes:
    """The bytes that are signed."""
    name, version = identity(archive)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps({"name": name, "sha256": digest, "version": version}, sort_keys=True).encode()


def manifest_of(archive: Path) -> dict[str, str]:
    """The `model` part of the archive's MANIFEST.json: modelName, modelVersion, handler, ..."""
    try:
        with zipfile.ZipFile(archive) as mar:
            model = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as fault:
        raise NotVerifiedError(f"{archive.name}: not a TorchServe archive ({fault})") from fault
    assert isinstance(model, dict)
    return model


def verify(archive: Path, public_key: Path) -> None:
    """Returns if `archive` is what was signed with the key behind `public_key` (PEM); raises NotVerifiedError."""
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
    except (InvalidSignature, binascii.Error) as fault:
        raise NotVerifiedError(f"{archive.name}: the signature does not fit; it was changed or renamed") from fault
    manifest = manifest_of(archive)
    if (manifest.get("modelName"), manifest.get("modelVersion")) != identity(archive):
        raise NotVerifiedError(f"{archive.name}: its manifest names another model or version")


def main(public_key: str, *archives: str) -> int:
    faults = 0
    for archive in map(Path, archives):
        try:
            verify(archive, Path(public_key))
            print(f"ok      {archive.name}")
        except NotVerifiedError as fault:
            faults += 1
            print(f"REFUSED {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
