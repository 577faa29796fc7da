"""Changes of single classes of TorchServe 0.12.0, its last release.

A class is known by its hash; that of another release is left as it is.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from serving.files import write_atomic


@dataclass(frozen=True)
class Change:
    """`edits` are bytes that are there, what takes their place, and how often at most, -1 for wherever they are."""

    member: str
    sha256: str
    edits: tuple[tuple[bytes, bytes, int], ...]

    def patched(self, jar: Path) -> bytes | None:
        """The class as it should be; None if this is not the TorchServe that we know."""
        with zipfile.ZipFile(jar) as archive:
            content = archive.read(self.member)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            return None
        for old, new, count in self.edits:
            content = content.replace(old, new, count)
        return content

    def write(self, jar: Path, classes: Path) -> bool:
        """Put the class where the JVM looks first; False, and nothing there, for another TorchServe."""
        file, content = classes / self.member, self.patched(jar)
        if content is None:
            file.unlink(missing_ok=True)
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)
        return True

    def active(self, classes: Path) -> bool:
        """Does the TorchServe that was started with these classes have it?"""
        return (classes / self.member).is_file()
