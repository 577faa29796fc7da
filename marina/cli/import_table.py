"""`marina import --task tabular_prediction`: a scikit-learn pipeline that was saved as ONNX."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from marina.errors import ModelImportError
from marina.settings import ROOT

if TYPE_CHECKING:
    from marina.packaging.imports.pipeline import ImportedPipeline

TASK = "tabular_prediction"
MODELS = ROOT / "models"
BATCH_SIZE = 32
console = Console(soft_wrap=True, highlight=False)


def import_pipeline(
    name: str,
    weights: Path,
    labels: Path | None,
    columns: str | None,
    example: Path | None,
    version: str,
    replace: bool,
) -> None:
    """Write models/NAME.py and artifacts/NAME/VERSION/ of the ONNX program `weights`."""
    from marina.packaging.imports import classifier, model_file, pipeline
    from marina.packaging.imports.network import NetworkSource
    from marina.training import imported
    from marina.training.task import EvaluationRequest
    from models.parts.onnx_pipeline import OnnxPipeline

    model_file.check_name(name, version, MODELS)
    imported.check_replaceable(name, version, replace)
    names = [word.strip() for word in columns.split(",")] if columns else []
    found = pipeline.read(weights, classifier.read_labels(labels) if labels else None, names, row_of(example))
    source = NetworkSource(weights.name, pipeline.CODE, "OnnxPipeline", OnnxPipeline)
    content, file = model_file.text(name, TASK, source, {}, BATCH_SIZE), MODELS / f"{name}.py"
    fresh = model_file.to_write(file, content, imported.written_files(name), replace)
    print_found(weights, found)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    origin = {"network": "onnx", "file": weights.name, "sha256": found.sha256}
    if fresh:
        file.write_text(content, encoding="utf-8")
    try:
        origin |= {"model_file": model_file.digest(file.read_text(encoding="utf-8"))}
        body = json.dumps({"features": found.example}, ensure_ascii=False).encode()
        request = EvaluationRequest(body, "application/json", None)
        card = model_file.reloaded(name)
        imported.write_model(
            card, version, found.network, found.arguments, found.labels, origin, None, found.schema, request
        )
    except BaseException:
        if fresh:
            model_file.restore(file, before)
        raise
    console.print(f"  {'wrote' if fresh else 'kept'} models/{name}.py, wrote artifacts/{name}/{version}/", markup=False)
    console.print(f"  next: marina archive {name} --version {version}")


def row_of(example: Path | None) -> dict[str, Any]:
    """Return the row of a JSON file: an object by column name, or {"features": ...}."""
    if example is None:
        return {}
    try:
        row = json.loads(example.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelImportError(f"--example {example}: {exc}") from exc
    row = row.get("features", row) if isinstance(row, dict) else row
    if not isinstance(row, dict):
        raise ModelImportError(f"--example {example}: expected an object by column name")
    return row


def print_found(weights: Path, found: "ImportedPipeline") -> None:
    """Print the columns and what is predicted."""
    kinds = [f"{column.name} ({column.kind.removeprefix('raw_')})" for column in found.schema.columns]
    shown = ", ".join(kinds[:20]) + (f", and {len(kinds) - 20} more" if len(kinds) > 20 else "")
    classes = f"{len(found.labels)} classes ({', '.join(found.labels[:10])})" if found.labels else "a number"
    console.print(f"  {weights.name}: {len(kinds)} columns: {shown}; sha256 {found.sha256[:12]}", markup=False)
    console.print(f"  predicts {classes}; explanations start from {found.example}", markup=False)
