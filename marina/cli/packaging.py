"""`marina archive`, `sign`, `verify`, `export` and `zoo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from marina.cli import jobs, option_flags, selection
from marina.cli.jobs import Job
from marina.cli.option_flags import BatchSize, Epochs, LearningRate, Pretrained, Set, Size
from marina.cli.training import (
    ARTIFACTS,
    Data,
    Jobs,
    Names,
    Preset,
    PresetOption,
    Replace,
    Target,
    Version,
    training_jobs,
)
from marina.errors import MarinaError
from marina.packaging import floors, freshness
from marina.settings import ROOT

STORE, KEYS = Path("archive/store"), Path("var/keys")
Store = Annotated[Path, typer.Option(help="folder of the archives")]
Keys = Annotated[Path, typer.Option(help="folder of the signing key pair")]
Floor = Annotated[
    list[str] | None, typer.Option(help="a metric that the model must reach, such as accuracy=0.9; repeatable")
]
Accept = Annotated[bool, typer.Option("--accept", help="pack a model that misses its floor; its card.json records it")]
TrustPickles = Annotated[
    bool, typer.Option("--trust-pickles", help="sign pickles that could run any command: you have reviewed them")
]
console = Console(soft_wrap=True, highlight=False)


def archive(
    names: Names = None,
    version: Version = "1.0",
    data: Data = None,
    preset: PresetOption = None,
    job_count: Jobs = 2,
    replace: Replace = False,
    floor: Floor = None,
    accept: Accept = False,
    size: Size = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    set_: Set = None,
    pretrained: Pretrained = None,
    target: Target = None,
) -> None:
    """Train what is not trained, and pack models into signed archives. Does nothing for what is up to date.

    Weights that exist are packed as they are, also if the model's file has changed since; --replace trains them again.

    Example: marina archive resnet18 mobilenet_v1
    """
    floors.parse(floor or ())  # an error now, not after hours of training
    finished = () if replace else {file.parent.parent.name for file in ARTIFACTS.glob(f"*/{version}/card.json")}
    chosen = selection.select(names or [selection.STARTER], finished)
    words = option_flags.words_of(size, epochs, batch_size, lr, set_)
    option_flags.overrides_of(chosen, words)  # an error now
    more = [word for each in floor or () for word in ("--floor", each)] + (["--accept"] if accept else [])
    planned = plan(chosen, version, data, preset, replace, more, option_flags.flags_of(words, pretrained), target)
    if planned:
        jobs.run(planned, job_count)
    else:
        console.print(f"Nothing to be done: {len(chosen)} of {len(chosen)} archives are up to date.")


def plan(
    names: list[str],
    version: str,
    data: str | None,
    preset: Preset | None,
    replace: bool = False,
    more: Sequence[str] = (),
    options: tuple[str, ...] = (),
    target: str | None = None,
) -> list[Job]:
    """Return the jobs that bring the archives of `names` up to date: what is trained already, then each training with
    its packing, so that a model can be served while others are still trained.

    What exists is trained again only with `replace`, and then in full unless another preset is given. Packing runs, and
    checks, whenever data, a preset or `more` options of packing are given. With `options` of training, what exists is
    compared with them: training refuses if its weights depend on them, and updates its card.json otherwise.
    """
    new = [name for name in names if replace or options or not (ARTIFACTS / name / version / "card.json").is_file()]
    trained_as = preset or (Preset.full if replace else None)
    trained = (
        {job.name: job for job in training_jobs(new, version, data, trained_as, replace, options, target)}
        if new
        else {}
    )
    packing = dict[str, Job]()
    forced = bool(data or preset or more or target)
    for place, name in enumerate(names, start=1):
        file = STORE / f"{name}-{version}.mar"
        if forced or f"train {name}" in trained or not freshness.is_up_to_date(file, ROOT):
            words = ["pack", name, "--version", version, "--preset", (preset or Preset.full).value]
            words += [*(["--data", data] if data else []), *(["--target", target] if target else []), *more]
            words += ["--position", f"{place} of {len(names)}"]
            packing[f"train {name}"] = Job(f"pack {name}", tuple(words), frozenset({f"train {name}"} & trained.keys()))
    pairs = [(job, packing.get(name)) for name, job in trained.items()]
    ready = [job for name, job in packing.items() if name not in trained]
    return ready + [job for pair in pairs for job in pair if job is not None]


def pack(
    name: str,
    version: Version = "1.0",
    preset: Annotated[Preset, typer.Option()] = Preset.full,
    position: Annotated[str, typer.Option(help='such as "3 of 7"')] = "1 of 1",
    artifacts: Annotated[Path, typer.Option(help="folder of trained models")] = ARTIFACTS,
    store: Store = STORE,
    keys: Keys = KEYS,
    data: Data = None,
    floor: Floor = None,
    accept: Accept = False,
    target: Target = None,
) -> None:
    """Pack and sign one trained model."""
    from marina.packaging.build import build
    from marina.training.quantization_data import TrainingData

    console.print(f"[bold]archive[/] {name} {version}, model {position}")
    requested, weights = floors.parse(floor or ()), artifacts / name / version
    for line in notes(name, weights, data, target):
        console.print(f"  {line}", markup=False)
    made = build(name, version, artifacts, store, keys, preset.value, requested, accept, TrainingData(weights))
    console.print(f"  {made}  {made.stat().st_size / 1e6:.1f} MB, signed")


def notes(name: str, weights: Path, data: str | None, target: str | None = None) -> list[str]:
    """Return lines about the weights to be packed: those of an older recipe or network, and their metrics if they have
    no floor. Raises MarinaError if they were trained on other data than `data` or no longer fit the network.
    """
    import models
    from marina.packaging.imports import IMPORTED
    from marina.training import artifacts, changes

    card = artifacts.finished(weights)
    if card is not None and IMPORTED in card:
        changes.check_imported(card, weights, models.find(name), data)
        return [floors.measured(card, models.find(name))]
    if card is None or "fingerprint" not in card:  # not trained, or not trained here
        return []
    model = models.find(name)
    try:
        changed = changes.packable(card, weights, model, data, target)
    except LookupError as exc:
        raise MarinaError(str(exc.args[0])) from exc
    lines = [f"weights of an older recipe or network ({'; '.join(changed)}): REPLACE=1 trains again"] if changed else []
    return lines if model.floor_on(card["data"]) else [*lines, floors.measured(card, model)]


def sign(
    mar: Annotated[Path, typer.Argument(help="an archive from elsewhere")],
    store: Store = STORE,
    keys: Keys = KEYS,
    replace: Annotated[bool, typer.Option("--replace", help="replace another archive of that name")] = False,
    trust_pickles: TrustPickles = False,
) -> None:
    """Take responsibility for an archive from elsewhere: check it, copy it into the store and sign it."""
    from marina.packaging.adoption import adopt

    console.print(f"signed {adopt(mar, store, keys, replace, trust_pickles)}")


def verify(store: Store = STORE, keys: Keys = KEYS) -> None:
    """Check the signature of every archive in the store, and print which key it was signed with."""
    from marina.packaging.verify import main as verify_all

    archives = sorted(store.glob("*.mar"))
    if not archives:
        raise MarinaError(f"no archives in {store}: `make archive` first")
    raise typer.Exit(verify_all(str(keys), *map(str, archives)))


def sbom(
    out: Annotated[Path | None, typer.Option(help="file to write", show_default="standard output")] = None,
) -> None:
    """Write the bill of materials of this bundle, CycloneDX 1.6: packages, Java, and every library in TorchServe's jar.

    That of an archive lies in it: sbom.json.
    """
    try:
        from marina.security import sbom as bills
    except ImportError as exc:
        raise MarinaError(f"the package {exc.name} is not installed: `make install`") from exc
    text = bills.as_json(bills.bundle())
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        console.print(f"wrote {out}")


def export(
    name: Annotated[str, typer.Argument(help="a trained model")],
    kind: Annotated[str, typer.Option("--format", help="onnx, torchscript or torch_export")],
    version: Version = "1.0",
    artifacts: Annotated[Path, typer.Option(help="folder of trained models")] = ARTIFACTS,
) -> None:
    """Write a trained network in another runtime's format, and compare its outputs with the eager network's."""
    from marina.packaging.export import FORMATS, export  # imports onnxruntime: no other command needs it

    if kind not in FORMATS:
        raise MarinaError(f"FORMAT={kind}: it is one of {', '.join(FORMATS)}")
    file, difference = export(artifacts / name / version, kind)
    console.print(f"{file}: largest difference from the eager network {difference:.1e}")


def zoo(
    version: Version = "1.0",
    artifacts: Annotated[Path, typer.Option(help="folder of trained models")] = ARTIFACTS,
    page: Annotated[Path, typer.Option(help="the page to write")] = Path("docs/zoo.md"),
) -> None:
    """Check the floor of every trained model, and write the page and the pictures that show them."""
    from marina.packaging import zoo  # import torch

    problems = zoo.write_page(artifacts, version, page)
    zoo.write_pictures(artifacts, version, page.parent / "pictures")
    if problems:
        raise MarinaError("\n".join(problems))
