"""Archives that are the same bytes whenever they are built from the same inputs."""

import json
import shutil
import zipfile
from datetime import datetime
from pathlib import Path

from marina.packaging.imports.archive_contents import MANIFEST
from marina.packaging.imports.foreign_archive import LARGE

MODE = 0o100644 << 16  # a regular file


def rewrite(archive: Path, target: Path, moment: datetime) -> None:
    """Write the members of an archive in the order of their names, each with the time `moment` and one mode.

    torch-model-archiver takes over the order of the folder, and writes the time of the build.
    """
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for info in sorted(before.infolist(), key=lambda each: each.filename):
            copy = zipfile.ZipInfo(info.filename, moment.timetuple()[:6])
            copy.compress_type, copy.external_attr, copy.create_system = zipfile.ZIP_DEFLATED, MODE, 3
            if info.filename == MANIFEST:
                manifest = json.loads(before.read(info))
                manifest["createdOn"] = moment.strftime("%d/%m/%Y %H:%M:%S")
                after.writestr(copy, json.dumps(manifest, indent=2))
            else:
                with before.open(info) as read, after.open(copy, "w", force_zip64=info.file_size >= LARGE) as write:
                    shutil.copyfileobj(read, write, 1 << 20)
