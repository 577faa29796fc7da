"""`marina trust`: the hosts whose archives are served here as they are."""

from pathlib import Path
from typing import Annotated

import typer

from marina.cli.packaging import KEYS, Keys, console
from marina.errors import MarinaError
from marina.packaging import trust as trusted


def trust(
    key: Annotated[Path | None, typer.Argument(help="another host's var/keys/signing.pub")] = None,
    name: Annotated[str | None, typer.Option(help="name to keep it under", show_default="the file's")] = None,
    list_: Annotated[bool, typer.Option("--list", help="print the trusted keys")] = False,
    remove: Annotated[str | None, typer.Option(help="name of a key to trust no longer")] = None,
    keys: Keys = KEYS,
) -> None:
    """Trust another host's key: archives that it signed are served here without signing them again.

    Copy both files of an archive, .mar and .mar.sig, into the store. A key that is removed counts from the next start.

    Example: marina trust from-build-host/signing.pub --name build-host
    """
    if sum((key is not None, list_, remove is not None)) != 1:
        raise MarinaError("give one of: the file of a public key, --list, or --remove NAME")
    if key is not None:
        kept, found = trusted.trust(keys, key, name)
        console.print(f"trusted {kept}, sha256 {found[: trusted.DIGITS]}: compare it with the other host's")
    elif remove is not None:
        trusted.remove(keys, remove)
        console.print(f"{remove} is trusted no longer; what is served stays until the next start")
    else:
        for kept, found in trusted.trusted_keys(keys).items():
            console.print(f"{kept}  sha256 {found[: trusted.DIGITS]}")
