"""Sequence classifiers from a Hugging Face folder: config.json, weights and tokenizer."""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from marina.errors import ModelImportError
from marina.packaging.imports import checkpoint
from marina.packaging.imports.checkpoint import Checkpoint
from marina.packaging.imports.classifier import read_labels
from marina.packaging.imports.imported_model import ImportedModel, ImportOptions
from marina.packaging.imports.network import NetworkSource
from marina.packaging.imports.tokenizer import codec_of, reason_of
from models.parts.sequence_classifier import MISSING, SequenceClassifier

TASK = "text_classification"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
FORMS = f"the folder of a Hugging Face model: config.json, {' or '.join(WEIGHTS)}, and its tokenizer"
EXAMPLE = "An example. 一个例子。"
SERVING = {"batch_size": 8, "response_timeout": 120}
WRAPPER = "from models.parts.sequence_classifier import SequenceClassifier"


def imported(options: ImportOptions) -> ImportedModel:
    """Return the classifier; raises ModelImportError if the folder lacks a part, or its parts don't fit together."""
    transformers = library()
    folder = options.weights
    if not folder.is_dir():
        raise ModelImportError(f"{folder} is no folder: --task {TASK} takes {FORMS}")
    config = read_config(folder)
    file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise ModelImportError(f"{folder} has no {' or '.join(WEIGHTS)}; --task {TASK} takes {FORMS}, in one file")
    read = checkpoint.read(file)
    try:
        network = SequenceClassifier(config)
    except Exception as exc:  # of a type without sequence classifiers, or with values that no network has
        raise ModelImportError(f"{folder}/config.json: {reason_of(exc)}") from exc
    if network.model.config.num_labels < 2:
        raise ModelImportError(f"{folder}/config.json: id2label has one label, as for regression; {TASK} has classes")
    unused = load(network, read)
    codec = codec_of(transformers, folder, network)
    labels = [str(network.model.config.id2label[number]) for number in range(network.model.config.num_labels)]
    if options.labels and len(given := read_labels(options.labels)) != len(labels):
        raise ModelImportError(f"the weights have {len(labels)} classes, {options.labels} has {len(given)} labels")
    kind = type(network.model).__name__
    lines = [
        read.summary(""),
        f"{len(labels)} classes, {options.labels_source if options.labels else 'labels from config.json'}",
        f"{kind}; texts of at most {codec.max_words} tokens",
        *([f"{len(unused)} tensors are no part of it, such as {unused[0]}"] if unused else []),
    ]
    code = f'"""{kind} of Hugging Face transformers, with imported weights."""\n'
    return ImportedModel(
        source=NetworkSource(f"transformers:{kind}", code, "SequenceClassifier", SequenceClassifier, WRAPPER),
        network=network,
        arguments={"config": config},
        labels=given if options.labels else labels,
        input={"max_words": codec.max_words, "max_characters": codec.max_characters},
        codec=codec,
        example=(EXAMPLE.encode(), "text/plain"),
        origin=read.origin(f"transformers:{kind}"),
        found=lines,
        serving=SERVING,
        options={"truncate": "true"},
        not_exported="transformers has its own exporters",
    )


def library() -> Any:
    """Return transformers, which downloads nothing and prints no progress; raises ModelImportError without it."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        found = import_module("transformers")
    except ImportError as exc:
        raise ModelImportError(MISSING) from exc
    found.utils.logging.set_verbosity_error()
    found.utils.logging.disable_progress_bar()
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json, in float32. Raises ModelImportError if it needs code of its own, or has no classes."""
    config = _json(folder / "config.json")
    tokenizer = folder / "tokenizer_config.json"
    for file, content in (("config.json", config), (tokenizer.name, _json(tokenizer) if tokenizer.is_file() else {})):
        if "auto_map" in content:
            raise ModelImportError(f"{folder}/{file} names code of its own (auto_map), which is never run")
    if not isinstance(config.get("model_type"), str):
        raise ModelImportError(f"{folder}/config.json has no model_type: --task {TASK} takes {FORMS}")
    if (kind := config.get("problem_type")) not in (None, "single_label_classification"):
        raise ModelImportError(f"{folder}/config.json: problem_type {kind}; {TASK} has one class for each text")
    removed = ("torch_dtype", "quantization_config", "transformers_version")
    if "quantization_config" in config:
        raise ModelImportError(f"{folder}: quantized weights can't be imported; save them in float32")
    return {name: value for name, value in config.items() if name not in removed} | {"dtype": "float32"}


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ModelImportError(f"no file {file}: --task {TASK} takes {FORMS}") from exc
    except (OSError, ValueError) as exc:
        raise ModelImportError(f"{file}: {exc}") from exc
    if not isinstance(content, dict):
        raise ModelImportError(f"{file} holds no JSON object")
    return content


def load(network: SequenceClassifier, read: Checkpoint) -> list[str]:
    """Load the weights as the library does, which renames those of older versions; return the names of unused tensors.

    Raises ModelImportError if a parameter is missing or has another shape: the library would leave it random.
    """
    config: Any = network.model.config
    found, report = type(network.model).from_pretrained(
        None, config=config, state_dict=dict(read.tensors), output_loading_info=True, ignore_mismatched_sizes=True
    )
    problems = []
    if missing := sorted(report["missing_keys"]):
        problems.append(f"{len(missing)} of {len(network.model.state_dict())} keys are missing: {missing[0]}")
    for name, here, there in sorted(report["mismatched_keys"])[:1]:
        problems.append(f"{name} is {_shape(here)}, by config.json {_shape(there)}")
    if problems:
        title = f"{read.file.name} does not fit {type(network.model).__name__}"
        raise ModelImportError(f"{title} of config.json: {'; '.join(problems)}")
    if broken := [name for name, value in found.state_dict().items() if not value.isfinite().all()]:
        raise ModelImportError(f"{read.file.name}: {broken[0]} has values that are not finite")
    network.model = found.float().eval()
    return sorted(report["unexpected_keys"])


def _shape(sizes: Any) -> str:
    return " x ".join(map(str, sizes))
