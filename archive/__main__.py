"""`python -m archive build | sign | verify`, behind `make archive`, `make sign` and `make verify`."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from archive.build import build
from archive.errors import RefusedError
from archive.sign import PUBLIC, sign
from archive.verify import NotVerifiedError, manifest_of
from archive.verify import main as verify_all

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console()

Store = Annotated[Path, typer.Option(help="folder of the archives")]
Keys = Annotated[Path, typer.Option(help="folder of the signing key pair")]


@app.command("build")
def build_one(
    name: str,
    version: Annotated[str, typer.Option()] = "1.0",
    preset: Annotated[str, typer.Option()] = "full",
    position: Annotated[str, typer.Option(help='such as "3 of 7"')] = "1 of 1",
    artifacts: Annotated[Path, typer.Option()] = Path("artifacts"),
    store: Store = Path("archive/store"),
    keys: Keys = Path("var/keys"),
) -> None:
    """Pack and sign one trained model."""
    console.print(f"[bold]archive[/] {name} {version}, model {position}")
    try:
        archive = build(name, version, artifacts, store, keys, preset)
    except RefusedError as fault:
        sys.exit(f"REFUSED {fault}")
    console.print(f"  {archive}  {archive.stat().st_size / 1e6:.1f} MB, signed")


@app.command("sign")
def sign_one(mar: Path, store: Store = Path("archive/store"), keys: Keys = Path("var/keys")) -> None:
    """Take responsibility for an archive that came from elsewhere: copy it into the store and sign it."""
    try:
        manifest = manifest_of(mar)
    except NotVerifiedError as fault:
        sys.exit(f"REFUSED {fault}")
    archive = store / f"{manifest['modelName']}-{manifest['modelVersion']}.mar"
    store.mkdir(parents=True, exist_ok=True)
    if not (archive.exists() and archive.samefile(mar)):
        shutil.copy(mar, archive)
    sign(archive, keys)
    console.print(f"signed {archive}")


@app.command("export")
def export_one(
    name: str,
    kind: Annotated[str, typer.Option("--format", help="onnx, torchscript or torch_export")],
    version: Annotated[str, typer.Option()] = "1.0",
    artifacts: Annotated[Path, typer.Option()] = Path("artifacts"),
) -> None:
    """Write the trained network in another runtime's format, and compare its answers."""
    from archive.export import FORMATS, export  # imports onnxruntime: needed by no other command

    if kind not in FORMATS:
        sys.exit(f"FORMAT={kind}: it is one of {', '.join(FORMATS)}")
    try:
        file, difference = export(artifacts / name / version, kind)
    except RefusedError as fault:
        sys.exit(f"REFUSED {fault}")
    console.print(f"{file}: largest difference from the eager network {difference:.1e}")


@app.command("zoo")
def zoo_page(
    version: Annotated[str, typer.Option()] = "1.0",
    artifacts: Annotated[Path, typer.Option()] = Path("artifacts"),
    page: Annotated[Path, typer.Option()] = Path("docs/zoo.md"),
) -> None:
    """Check the floor of every model there is, and write the page and the pictures that show them."""
    from archive import pictures, zoo  # import torch

    faults = zoo.write(artifacts, version, page)
    pictures.write(artifacts, version, page.parent / "pictures")
    sys.exit("\n".join(faults) or None)


@app.command()
def verify(store: Store = Path("archive/store"), keys: Keys = Path("var/keys")) -> None:
    """Check every archive in the store."""
    archives = sorted(store.glob("*.mar"))
    if not archives:
        sys.exit(f"no archives in {store}: make archive")
    sys.exit(verify_all(str(keys / PUBLIC), *map(str, archives)))


if __name__ == "__main__":
    app()
