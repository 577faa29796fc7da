"""Artifacts of imported weights: what a training run leaves, without the training.

card.json has the preset "imported" and the member `imported`: file, sha256 and network of the weights. The metrics are
empty unless the user's own data are given; then they are measured through the handler, as training does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marina.errors import ModelImportError, WeightsExistError
from marina.hosting.host import Host
from marina.packaging.imports import IMPORTED
from marina.packaging.imports.imported_model import ImportedModel
from marina.training import artifacts, changes, evaluation, tasks
from marina.training.data import find
from marina.training.run import card_facts, data_facts
from marina.training.task import EvaluationRequest
from models.card import Card


@dataclass(frozen=True)
class EvaluationSplit:
    """The requests of a data set's test split, and the data's `facts` for card.json."""

    requests: list[EvaluationRequest]
    facts: Mapping[str, Any]


def check_replaceable(name: str, version: str, replace: bool) -> None:
    """Raise WeightsExistError if weights of this version exist, unless an import wrote them and may `replace` them."""
    done = artifacts.finished(artifacts.folder_of(name, version))
    if done is None or (replace and done["preset"] == IMPORTED):
        return
    beside = f"--version {changes.next_version(version)} (VERSION=) imports beside them"
    if done["preset"] != IMPORTED:
        raise WeightsExistError(f"{name} {version} exists, and was trained here; it is not replaced: {beside}")
    raise WeightsExistError(f"{name} {version} exists: {beside}, --replace (REPLACE=1) replaces them")


def written_files(name: str) -> set[str]:
    """Return the sha256 of every text of models/NAME.py that an import of `name` wrote."""
    cards = (artifacts.finished(file.parent) for file in (artifacts.ARTIFACTS / name).glob(f"*/{artifacts.CARD}"))
    return {card[IMPORTED]["model_file"] for card in cards if card and IMPORTED in card}


def load_split(data: str, task: str, labels: list[str]) -> EvaluationSplit:
    """Read the test split of a data set.

    Raises ModelImportError if it is unknown, or has classes that are none of `labels`.
    """
    try:
        found = find(data)
        dataset = found.load(task)
    except (LookupError, ValueError) as exc:
        raise ModelImportError(f"--data {data}: {exc.args[0] if exc.args else exc}") from exc
    if others := [label for label in dataset.labels if label not in labels]:
        raise ModelImportError(
            f"--data {data} has classes that are no labels of the model: {', '.join(others[:5])}; the model has "
            f"{', '.join(labels[:5])}{', ...' if len(labels) > 5 else ''}"
        )
    return EvaluationSplit(list(tasks.find(task).requests(dataset)), data_facts(found, dataset))


def write(
    card: Card, version: str, model: ImportedModel, model_file: str, test: EvaluationSplit | None
) -> dict[str, Any]:
    """Write artifacts/<name>/<version>/ and return its card.json; models/<name>.py must exist.

    `model_file` is the digest of that file. Raises EvaluationError if the
    handler can't respond to the example or to a request of the test split.
    """
    scratch = artifacts.scratch_of(card.name, version)
    artifacts.begin(scratch, f"{IMPORTED} {model.origin['sha256']}")
    evaluation.write_network(model.network, model.codec, model.labels, scratch)
    example = EvaluationRequest(*model.example, None)
    origin = {**model.origin, "model_file": model_file}
    facts: dict[str, Any] = card_facts(card, {}) | {"version": version, "preset": IMPORTED, IMPORTED: origin}
    facts |= {"network": dict(model.arguments), "example": evaluation.write_example(example, scratch)}
    facts |= {"options": dict(model.options)}
    facts |= {"data": test.facts} if test else {}
    artifacts.write_json(facts, scratch / artifacts.CARD)  # the handler reads it
    metrics: dict[str, float] = {}
    with Host.of_artifacts(scratch) as host:
        (facts["example"]["reply"],) = evaluation.json_responses(host, [example])
        if test:
            responses = list(evaluation.json_responses(host, test.requests, model.options))
            metrics = tasks.find(card.task).score([request.truth for request in test.requests], responses)
    facts |= {
        "metrics": metrics,
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": evaluation.library_versions(),
    }
    artifacts.write_json(facts, scratch / artifacts.CARD)
    artifacts.finish(scratch, artifacts.folder_of(card.name, version))
    return facts
