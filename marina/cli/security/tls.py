"""`marina tls`: certificates for trials."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from marina.errors import MarinaError
from marina.settings import LOOPBACK, Settings

LOCAL = ("localhost", LOOPBACK, "::1")

app = typer.Typer(help="Make certificates for trials of HTTPS.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)


@app.callback()
def topic() -> None:
    """Make certificates for trials of HTTPS."""


@app.command()
def init(
    host: Annotated[list[str] | None, typer.Option(help="name or address of the server; may be repeated")] = None,
    folder: Annotated[Path | None, typer.Option(help="new folder of the files", show_default="var/tls")] = None,
) -> None:
    """Make a certificate authority, and a server certificate for localhost and the given hosts.

    Nothing is overwritten. Clients must trust the authority, ca.pem.
    Example: marina tls init --host models.example.org
    """
    from marina.security.tls import CLIENT, SERVER, Authority

    target = (folder or Settings().var / "tls").absolute()
    authority_files = (target / "ca.pem", target / "ca-key.pem")
    cert, key = target / "cert.pem", target / "key.pem"
    for file in (*authority_files, cert, key):
        if file.exists():
            raise MarinaError(f"{file} exists: remove it, or choose another folder with --folder")
    hosts = list(dict.fromkeys([*(host or []), *LOCAL]))
    authority = Authority.create("Marina trial CA")
    issued = authority.issue(hosts, [SERVER, CLIENT])
    authority.write(*authority_files)
    issued.write(cert, key)
    end = issued.certificate.not_valid_after_utc
    console.print(f"{target}: a certificate for {', '.join(hosts)}, valid until {end:%Y-%m-%d}")
    console.print(f"marina serve --cert {cert} --key {key}")
    console.print(f"curl --cacert {authority_files[0]} https://{hosts[0]}:8000/ready")
