"""`marina import NAME --weights their.mar`: an archive of another team, once somebody signs for its code."""

from pathlib import Path

from rich.console import Console

from marina.errors import ModelImportError

DIGITS = 12  # of the hash, at least, by which the user names the archive that they have reviewed
console = Console(soft_wrap=True, highlight=False)


def import_archive(
    name: str,
    file: Path,
    version: str,
    acknowledged: str | None,
    replace: bool,
    store: Path,
    keys: Path,
    models: Path,
    trust_pickles: bool = False,
) -> None:
    """Show what the archive contains; with the hash in `acknowledged`, put it into the store and sign it.

    Raises ModelImportError without that hash: the archive's code would run on the serving machine.
    """
    from marina.packaging.imports import archive_contents, foreign_archive, model_file

    model_file.check_name(name, version, models)
    if (models / f"{name}.py").exists():
        raise ModelImportError(f"models/{name}.py exists, and its archives have that name: choose another name")
    foreign_archive.check_replaceable(store / f"{name}-{version}.mar", replace)
    contents = archive_contents.inspect(file)
    for line in contents.lines():
        console.print(f"  {line}", markup=False)
    if acknowledged is None:
        raise ModelImportError(
            f"{file.name} contains code that would run on the serving machine: review it, and take responsibility for "
            f"it with --sign {contents.sha256[:DIGITS]}"
        )
    if len(acknowledged) < DIGITS or not contents.sha256.startswith(acknowledged.lower()):
        raise ModelImportError(
            f"--sign {acknowledged}: the sha256 of {file.name} begins with {contents.sha256[:DIGITS]}; sign for the "
            "file that you reviewed"
        )
    made = foreign_archive.import_as(name, version, contents, store, keys, replace, trust_pickles)
    console.print(f"  wrote {made}, signed", markup=False)
    console.print(f"  next: marina serve {name}")
