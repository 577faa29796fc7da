"""Trusted keys: public keys of other hosts, whose archives are served here without signing them again."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from marina.errors import PackagingError
from marina.files import write_atomic
from marina.packaging.verify import NAME, TRUSTED, key_files, load_key

DIGITS = 16  # of a fingerprint, as shown


def fingerprint(file: Path) -> str:
    """Return the SHA-256 of a public key, by which two people can compare it; raises ValueError for another kind."""
    return hashlib.sha256(load_key(file).public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def trusted_keys(keys: Path) -> dict[str, str]:
    """Return the fingerprint of every trusted key by its name; the folder `keys` holds this host's own key."""
    return {file.stem: fingerprint(file) for file in key_files(keys) if file.parent.name == TRUSTED}


def trust(keys: Path, file: Path, name: str | None = None) -> tuple[str, str]:
    """Trust the key in a PEM file; return the name under which it is kept, the file's own by default, and fingerprint.

    Raises PackagingError for a file that is no public key, and for a name that another key has.
    """
    name = name or file.stem
    if not NAME.fullmatch(name):
        raise PackagingError(f"{name!r} can't be a key's name: give another with --name, such as the host's")
    try:
        found = fingerprint(file)
    except (OSError, ValueError) as exc:
        raise PackagingError(f"{file} holds no public key of Marina's: it is a host's var/keys/signing.pub") from exc
    if trusted_keys(keys).get(name, found) != found:
        raise PackagingError(f"another key has the name {name}: give this one another name with --name, or remove that")
    folder = keys / TRUSTED
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(folder / f"{name}.pub", file.read_bytes())
    return name, found


def remove(keys: Path, name: str) -> None:
    """No longer trust a key; raises PackagingError if there is none of that name."""
    if name not in trusted_keys(keys):
        raise PackagingError(f"no trusted key is called {name}; there are: {', '.join(trusted_keys(keys)) or 'none'}")
    (keys / TRUSTED / f"{name}.pub").unlink()
