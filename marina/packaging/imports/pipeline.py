"""Import of a scikit-learn pipeline as ONNX (skl2onnx): its columns, its labels, and a check that it runs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from handlers.errors import BadRequest
from handlers.tables.pipeline_columns import TEXT_BYTES, RawNumber, RawText
from handlers.tables.table_schema import TableSchema
from marina.errors import ModelImportError
from marina.packaging.imports.classifier import read_labels
from marina.packaging.imports.imported_model import ImportedModel, ImportOptions
from marina.packaging.imports.network import NetworkSource
from models.parts.onnx_pipeline import NUMBERS, TEXTS, OnnxPipeline

BATCH_SIZE = 32
TARGET = "prediction"  # a program does not name what it predicts
LABEL_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
CODE = '"""A pipeline of scikit-learn, imported as ONNX."""\n\nfrom models.parts.onnx_pipeline import OnnxPipeline\n'


@dataclass(frozen=True)
class ImportedPipeline:
    """The program as a network with its arguments, the columns, the labels if it has classes, and an example row."""

    network: OnnxPipeline
    arguments: dict[str, Any]
    schema: TableSchema
    labels: list[str]
    example: dict[str, Any]
    sha256: str


def imported(options: ImportOptions) -> ImportedModel:
    """Return the pipeline; raises ModelImportError if the file, the columns, the labels and the example don't fit."""
    labels = read_labels(options.labels) if options.labels else None
    found = read(options.weights, labels, options.columns, row_of(options.example))
    name = options.weights.name
    return ImportedModel(
        source=NetworkSource(name, CODE, "OnnxPipeline", OnnxPipeline),
        network=found.network,
        arguments=found.arguments,
        labels=found.labels,
        input={},
        codec=found.schema,
        example=(json.dumps({"features": found.example}, ensure_ascii=False).encode(), "application/json"),
        origin={"network": "onnx", "file": name, "sha256": found.sha256},
        found=summary(name, found),
        serving={"batch_size": BATCH_SIZE},
    )


def summary(name: str, found: ImportedPipeline) -> list[str]:
    """Return the lines about the columns and what is predicted."""
    kinds = [f"{column.name} ({column.kind.removeprefix('raw_')})" for column in found.schema.columns]
    shown = ", ".join(kinds[:20]) + (f", and {len(kinds) - 20} more" if len(kinds) > 20 else "")
    classes = f"{len(found.labels)} classes ({', '.join(found.labels[:10])})" if found.labels else "a number"
    return [
        f"{name}: {len(kinds)} columns: {shown}; sha256 {found.sha256[:12]}",
        f"predicts {classes}; explanations start from {found.example}",
    ]


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


def read(file: Path, labels: Sequence[str] | None, columns: Sequence[str], example: dict[str, Any]) -> ImportedPipeline:
    """Return the pipeline in a file.

    `columns` names the numbers of an input that has several; `labels` replaces the program's own, in their order;
    `example` overrides the row of zeros and empty texts from which explanations start. Raises ModelImportError.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as exc:
        raise ModelImportError(f"{file.name}: {exc}; .venv/bin/pip install onnx onnxruntime") from exc
    try:
        content = file.read_bytes()
        program = onnx.load_model_from_string(content)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except OSError as exc:
        raise ModelImportError(f"--weights: {exc.strerror} {file}") from exc
    except Exception as exc:  # protobuf's and onnxruntime's own errors
        raise ModelImportError(
            f"{file.name} is no ONNX file that onnxruntime runs: {str(exc).splitlines()[0]}"
        ) from exc
    inputs = [_input(file, node) for node in session.get_inputs()]
    imputes = any(node.op_type == "Imputer" for node in program.graph.node)
    names = _column_names(file, inputs, columns)
    own = _labels(program) if len(session.get_outputs()) > 1 else []
    if len(session.get_outputs()) > 1 and not own and labels is None:
        raise ModelImportError(f"{file.name} has classes without names: give --labels (LABELS=), in their order")
    if labels is not None and own and len(labels) != len(own):
        raise ModelImportError(
            f"{file.name} has {len(own)} classes ({', '.join(map(str, own))}), --labels {len(labels)}"
        )
    if labels is not None and len(session.get_outputs()) < 2:
        raise ModelImportError(f"{file.name} predicts a number, and takes no --labels")
    kinds = [kind for _, kind, count in inputs for _ in range(count)]
    raw = [
        RawText(name) if kind == TEXTS else RawNumber(name, imputes, "int" in kind)
        for name, kind in zip(names, kinds, strict=True)
    ]
    row: dict[str, Any] = {column.name: "" if isinstance(column, RawText) else 0 for column in raw} | example
    shown = list(labels or map(str, own))
    arguments: dict[str, Any] = {
        "size": len(content),
        "inputs": inputs,
        "labels": own or shown,
        "text_bytes": TEXT_BYTES,
    }
    network = OnnxPipeline(**arguments).eval()
    network.load_state_dict({"program": torch.frombuffer(bytearray(content), dtype=torch.uint8)})
    mean, std = (None, None) if shown else (0.0, 1.0)
    schema = TableSchema(raw, [], TARGET, mean, std)
    schema = TableSchema(raw, [], TARGET, mean, std, _checked(file, network, schema, row, len(shown)))
    return ImportedPipeline(network, arguments, schema, shown, row, hashlib.sha256(content).hexdigest())


def _input(file: Path, node: Any) -> list[Any]:
    """Name, type and number of columns of an input."""
    count = node.shape[-1] if len(node.shape) == 2 else None
    if not isinstance(count, int) or node.type not in (*NUMBERS, TEXTS):
        raise ModelImportError(
            f"{file.name}: input {node.name} is {node.type} of shape {node.shape}; a table's is numbers or texts of "
            f"shape [None, columns]"
        )
    return [node.name, node.type, count]


def _column_names(file: Path, inputs: Sequence[Sequence[Any]], columns: Sequence[str]) -> list[str]:
    """The columns: inputs of one column by their name, others by the names given, or numbered."""
    names = [name if count == 1 else f"{name}{place}" for name, _, count in inputs for place in range(count)]
    if not columns:
        return names
    if len(columns) != len(names) or len({*columns}) < len(columns):
        raise ModelImportError(f"{file.name} has {len(names)} columns; --columns has {len({*columns})} different names")
    return list(columns)


def _labels(program: Any) -> list[Any]:
    """The labels of the last node that has some: texts, or whole numbers."""
    for node in reversed(program.graph.node):
        for attribute in node.attribute:
            if attribute.name in LABEL_ATTRIBUTES and (attribute.strings or attribute.ints):
                return [text.decode() for text in attribute.strings] or list(attribute.ints)
    return []


def _checked(file: Path, network: OnnxPipeline, schema: TableSchema, row: dict[str, Any], classes: int) -> list[float]:
    """Run the program on the example and on unknown texts; return the codes of the example."""
    unknown = {name: "\x7funknown" if isinstance(value, str) else value for name, value in row.items()}
    try:
        codes = [schema.codes(one) for one in (row, unknown)]
    except BadRequest as exc:
        raise ModelImportError(f"--example: {exc.field} {exc.reason}") from exc
    for place, one in enumerate(codes):
        try:
            output = network(schema.table([one]))
        except Exception as exc:  # onnxruntime's own errors
            reason = str(exc).splitlines()[0][:200]
            if place:
                raise ModelImportError(
                    f"{file.name} fails on unknown texts, and one would fail all requests beside it: convert the "
                    f'pipeline with OneHotEncoder(handle_unknown="ignore") ({reason})'
                ) from exc
            raise ModelImportError(
                f"{file.name} fails on {row}: give a row that it takes, --example ({reason})"
            ) from exc
        if output.shape != ((1, classes) if classes else (1,)) or not output.isfinite().all():
            raise ModelImportError(f"{file.name} returns {tuple(output.shape)} or no finite number on {row}: --example")
    return codes[0]
