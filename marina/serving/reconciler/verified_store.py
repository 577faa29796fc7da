"""Verified copies of archives, in a folder that only Marina writes: what is verified is what is served.

The store belongs to the user, who may replace an archive at any time, also between verification and TorchServe's
reading. So an archive is copied first and verified as a copy, and TorchServe's model store is the folder of verified
copies. A copy shares its blocks with the original where the file system can (Btrfs, XFS); elsewhere it takes the same
space again. A hard link would not do: who writes into the original changes both.
"""

import contextlib
import fcntl
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from marina.packaging.verify import NotVerifiedError, signature_of
from marina.serving.reconciler.model_store import Archive
from marina.settings import Settings

FICLONE = 0x40049409  # linux/fs.h


def copy_of(settings: Settings, archive: Archive) -> Archive:
    """Return the verified copy of an archive, whether it exists or not."""
    return Archive(archive.name, archive.version, settings.verified / archive.path.name)


def admit(settings: Settings, archive: Archive) -> Archive:
    """Copy an archive of the store, verify the copy, and return it; it replaces an earlier one.

    Raises NotVerifiedError, and removes the earlier copy: the store is the source of what is served.
    """
    target = copy_of(settings, archive)
    # Beside TorchServe's model store and not in it, where an archive could be registered before it is verified.
    with tempfile.TemporaryDirectory(dir=settings.var, prefix=".admitted-") as folder:
        copied = Path(folder) / archive.path.name
        try:
            for original in (archive.path, signature_of(archive.path)):
                if original.is_file():
                    copy_file(original, copied.with_name(original.name))
            Archive(archive.name, archive.version, copied).verify(settings.keys)
        except OSError as exc:
            remove(target.path)
            raise NotVerifiedError(f"{archive.path.name}: it can't be copied to {settings.verified}: {exc}") from exc
        except NotVerifiedError as exc:
            remove(target.path)
            raise NotVerifiedError(str(exc).replace(str(copied), str(archive.path))) from exc
        signature_of(copied).replace(signature_of(target.path))
        copied.replace(target.path)
    return target


def admitted(settings: Settings, archive: Archive) -> Archive:
    """Return the verified copy if it still verifies, with the keys of today; else admit the archive of the store.

    A JVM that restarts serves the copy, whatever the store holds by then. Raises NotVerifiedError as `admit`.
    """
    copy = copy_of(settings, archive)
    if not copy.path.is_file():
        return admit(settings, archive)
    copy.verify(settings.keys)
    return copy


def keep_only(settings: Settings, names: Iterable[str]) -> None:
    """Remove the copies of all archives but those with these file names."""
    kept = set(names)
    for path in settings.verified.glob("*.mar"):
        if path.name not in kept:
            remove(path)


def remove(copy: Path) -> None:
    """Remove a copy and its signature."""
    copy.unlink(missing_ok=True)
    signature_of(copy).unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file for the owner alone; as a reflink, which takes no space, where the file system has them."""
    with source.open("rb") as read, target.open("wb") as write:
        target.chmod(0o600)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.ioctl(write, FICLONE, read.fileno())
                return
        shutil.copyfileobj(read, write, 1 << 20)
