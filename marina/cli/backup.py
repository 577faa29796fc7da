"""`marina backup` and `marina restore`."""

from pathlib import Path
from typing import Annotated

import typer

from marina.cli import bundle_client
from marina.errors import MarinaError
from marina.serving import backup as backups
from marina.serving import supervisor
from marina.settings import Settings


def backup(
    file: Annotated[Path, typer.Argument(help="the tar file to write, such as marina.tar.gz")],
    archives: Annotated[bool, typer.Option(help="include the archives of the store")] = True,
) -> None:
    """Save state, keys, experiments, enrolled faces, settings and archives in one file; the bundle may run.

    The file holds private keys: only its owner may read it. Example: marina backup ../marina.tar.gz
    """
    settings = Settings()
    members = backups.create(settings, file, archives)
    size = file.stat().st_size / 1e6
    bundle_client.console.print(f"{file}: {len(members)} files, {size:.1f} MB, with private keys", soft_wrap=True)
    if settings.database:
        bundle_client.console.print("The shared database is not in it: back it up with pg_dump.")


def restore(file: Annotated[Path, typer.Argument(help="what `marina backup` wrote")]) -> None:
    """Put the files of a backup in their places, on this host or another; `make serve` then serves what it served.

    Files that differ are moved aside, not overwritten. The bundle must be stopped.
    """
    settings = Settings()
    if supervisor.process(settings):
        raise MarinaError("the bundle runs: `make stop` first")
    aside = backups.restore(settings, file)
    bundle_client.console.print(f"restored from {file}: `make serve`", soft_wrap=True)
    if aside:
        bundle_client.console.print(f"what was there before is in {aside}", soft_wrap=True)
