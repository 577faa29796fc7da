"""Which data it was: one hash over all files of a data set."""

from hashlib import file_digest, sha256
from pathlib import Path

FACTS = "SOURCE.json"  # in the folder of a stand-in: where it is from, its licence, and its checksum


def checksum(path: Path) -> str:
    """The sha256 over the names and bytes of all files at `path`; hidden ones and SOURCE.json are left out."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    total = sha256()
    for file in files:
        if file.name == FACTS or file.name.startswith("."):
            continue
        with file.open("rb") as stream:
            content = file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.relative_to(path).as_posix()} {content}\n".encode())
    return total.hexdigest()
