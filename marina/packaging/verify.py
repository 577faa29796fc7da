"""Verification of archives. Stands alone: it needs the `cryptography` package and nothing of Marina.

    python marina/packaging/verify.py PUBLIC_KEYS ARCHIVE...

The signature (Ed25519, RFC 8032) lies beside the archive in ARCHIVE.sig and covers its name, version and SHA-256:
neither a changed byte nor a renamed file passes. PUBLIC_KEYS is a public key, or a folder of keys: `signing.pub`, the
key of this host, and in its folder `trusted` those of others.
"""

import base64
import binascii
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PUBLIC, TRUSTED = "signing.pub", "trusted"  # in a folder of keys: this host's own, and the folder of others
# Both are parts of file names, URLs and log lines. A version has no dash, since the last one ends the name.
NAME = re.compile(r"(?=.{1,100}\Z)\w+([.-]\w+)*", re.ASCII)
VERSION = re.compile(r"(?=.{1,50}\Z)\w+([.+]\w+)*", re.ASCII)


class NotVerifiedError(Exception):
    """The archive must not be served; the message gives its name and the reason."""


def archive_name(name: str, version: str) -> str:
    """Return `<name>-<version>.mar`; raise NotVerifiedError for a name or version that an archive can't have.

    >>> archive_name("my-model", "1.0")
    'my-model-1.0.mar'
    """
    if not NAME.fullmatch(name):
        raise NotVerifiedError(
            f"{name!r} can't be a model's name: it is words with '.' or '-' between, such as my-model"
        )
    if not VERSION.fullmatch(version):
        raise NotVerifiedError(f"{version!r} can't be a version: it is numbers or words with dots, such as 1.0")
    return f"{name}-{version}.mar"


def identity(archive: Path) -> tuple[str, str]:
    """Return name and version from the file name `<name>-<version>.mar`; raise NotVerifiedError for any other form."""
    name, dash, version = archive.stem.rpartition("-")
    if archive.suffix != ".mar" or not (name and dash and version):
        raise NotVerifiedError(f"{archive.name}: the name is not <name>-<version>.mar")
    archive_name(name, version)
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


def key_files(public_keys: Path) -> list[Path]:
    """Return the files of public keys: the file itself, or those of a folder, the trusted ones last."""
    if not public_keys.is_dir():
        return [public_keys]
    own = public_keys / PUBLIC
    return [*([own] if own.is_file() else []), *sorted((public_keys / TRUSTED).glob("*.pub"))]


def load_key(file: Path) -> Ed25519PublicKey:
    """Return a public key from its PEM file; raise ValueError if it is no Ed25519 key."""
    key = load_pem_public_key(file.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{file} is not an Ed25519 key")
    return key


def verify(archive: Path, public_keys: Path) -> Path:
    """Return the file of the key that `archive` was signed with; raise NotVerifiedError if it is none of `public_keys`.

    `public_keys` is the PEM file of one key, or a folder of them (see `key_files`).
    """
    if not archive.is_file():
        raise NotVerifiedError(f"{archive.name}: no such archive")
    files = key_files(public_keys)
    if not files or not files[0].is_file():
        raise NotVerifiedError(f"{archive.name}: no public key at {public_keys}")
    if not signature_of(archive).is_file():
        raise NotVerifiedError(f"{archive.name}: it is not signed; if you trust it, `make sign MAR={archive}`")
    signer = _signer(archive, files)
    manifest = manifest_of(archive)
    if (manifest.get("modelName"), manifest.get("modelVersion")) != identity(archive):
        raise NotVerifiedError(f"{archive.name}: its manifest names another model or version")
    return signer


def _signer(archive: Path, files: list[Path]) -> Path:
    """Return the file of the key that fits the signature."""
    signed = statement(archive)
    try:
        signature = base64.b64decode(signature_of(archive).read_bytes().strip(), validate=True)
    except binascii.Error as exc:
        raise NotVerifiedError(f"{archive.name}: signature mismatch; it was changed or renamed") from exc
    for file in files:
        try:
            load_key(file).verify(signature, signed)
        except InvalidSignature:
            continue
        except ValueError as exc:
            raise NotVerifiedError(f"{archive.name}: {exc}") from exc
        return file
    more = "" if len(files) == 1 else f", or signed with none of the {len(files)} trusted keys"
    raise NotVerifiedError(f"{archive.name}: signature mismatch; it was changed or renamed{more}")


def main(public_keys: str, *archives: str) -> int:
    """Print a line for each archive, and return the exit status: 1 if any is refused."""
    refused = 0
    for archive in map(Path, archives):
        try:
            signer = verify(archive, Path(public_keys))
            print(f"ok      {archive.name}  signed with {signer.name}")
        except NotVerifiedError as exc:
            refused += 1
            print(f"REFUSED {exc}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
