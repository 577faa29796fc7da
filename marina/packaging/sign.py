"""Signing of archives, with the key pair of this bundle (Ed25519)."""

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filelock import FileLock

from marina.packaging.verify import PUBLIC, signature_of, statement

PRIVATE = "signing.pem"


def private_key(keys: Path) -> Ed25519PrivateKey:
    """Return the private key in the folder `keys`; the pair is made on first use, readable by its owner alone.

    Raises TypeError for a key of another kind.
    """
    file = keys / PRIVATE
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(keys / ".lock"):  # two archives may be signed at the same time
        if not file.exists():
            make_pair(keys)
    loaded = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(loaded, Ed25519PrivateKey):
        raise TypeError(f"{file} is not an Ed25519 key")
    return loaded


def make_pair(keys: Path) -> None:
    """Write a new key pair; the private key comes last, so that a pair with one is complete."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (keys / PUBLIC).write_bytes(public)
    with os.fdopen(os.open(keys / PRIVATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(pem)


def sign(archive: Path, keys: Path) -> Path:
    """Write `<archive>.sig` and return its path."""
    signature = private_key(keys).sign(statement(archive))
    file = signature_of(archive)
    file.write_bytes(base64.b64encode(signature) + b"\n")
    return file


def place_signed(copied: Path, target: Path, keys: Path) -> None:
    """Sign a private copy of an archive under the name of `target`, and move both there.

    A crash in between leaves an archive that `verify` refuses.
    """
    named = copied.rename(copied.with_name(target.name))
    signature = sign(named, keys)
    named.replace(target)
    signature.replace(signature_of(target))
