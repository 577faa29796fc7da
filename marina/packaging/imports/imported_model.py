"""The options of an import, and its result: all that models/NAME.py and the artifacts are written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from marina.errors import ModelImportError
from marina.packaging.imports.network import OFFLINE, NetworkSource


@dataclass(frozen=True)
class ImportOptions:
    """The user's options: `weights` is a file or folder, `images` holds the arguments of an image codec if they are
    given, `arguments` are the network's own. `columns` names those of a table, `example` is the file of a row.
    """

    weights: Path
    network: str | None = None
    labels: Path | None = None
    images: Mapping[str, Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    example: Path | None = None

    @property
    def labels_source(self) -> str:
        """The origin of the labels, for the user."""
        return f"labels from {self.labels}" if self.labels else "numbered: no --labels"

    def required_network(self, task: str) -> str:
        """Return the network; raises ModelImportError if it is not given."""
        if self.network is None:
            raise ModelImportError(f"--task {task} needs --network, such as torchvision.models:resnet18")
        return self.network

    def check_no_download(self) -> None:
        """Raise ModelImportError for an argument that would make the network download weights."""
        if chosen := [name for name in OFFLINE if self.arguments.get(name)]:
            raise ModelImportError(f"--argument {chosen[0]}: nothing is downloaded, the weights are those of --weights")


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A network with its weights, and the `arguments` that it is built with.

    `input` holds the CARD's arguments of the codec, `codec` is the codec itself, `example` a body and its content type.
    `origin` becomes the member `imported` of card.json; `found` are lines for the user. `serving` holds the CARD's
    options of serving, `options` the query parameters with which a test split is measured.
    """

    source: NetworkSource
    network: nn.Module
    arguments: Mapping[str, Any]
    labels: list[str]
    input: Mapping[str, Any]
    codec: Any
    example: tuple[bytes, str]
    origin: Mapping[str, Any]
    found: Sequence[str]
    serving: Mapping[str, Any] = field(default_factory=lambda: {"batch_size": 8})
    options: Mapping[str, str] = field(default_factory=dict)
    not_exported: str = ""
