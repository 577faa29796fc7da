"""Checkpoints of the user (`--pretrained PATH`): the tensors that match a network by name and shape are its start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from marina.errors import ModelImportError
from marina.packaging.imports import checkpoint, matching
from marina.packaging.imports.checkpoint import Checkpoint

SHOWN = 4  # tensors in a line


@dataclass(frozen=True)
class LoadedCheckpoint:
    """The count of tensors that were `loaded`; `others` keep their values: in words, with the reason."""

    checkpoint: Checkpoint
    loaded: int
    others: tuple[str, ...]

    @property
    def line(self) -> str:
        """The result in one line, such as "a.pth: 40 of 42 tensors loaded; not loaded: head.weight (10 x 8, ...)"."""
        count = self.loaded + len(self.others)
        text = f"{self.checkpoint.file.name}: {self.loaded} of {count} tensors of the network loaded"
        more = f", and {len(self.others) - SHOWN} more" if len(self.others) > SHOWN else ""
        return f"{text}; not loaded: {', '.join(self.others[:SHOWN])}{more}" if self.others else text

    @property
    def facts(self) -> dict[str, Any]:
        """The member `checkpoint` of card.json."""
        facts = {"path": str(self.checkpoint.file), "sha256": self.checkpoint.sha256}
        return {**facts, "loaded": self.loaded, "not_loaded": list(self.others)}


def read(file: Path) -> Checkpoint:
    """Read tensors alone; raises ModelImportError for a damaged file, one of another kind, and one that needs code."""
    return checkpoint.read(file)


def load(network: nn.Module, weights: Checkpoint) -> LoadedCheckpoint:
    """Load the tensors of a checkpoint that have the name and shape of the network's own.

    A head for another number of classes keeps its random weights. Raises ModelImportError if nothing matches.
    """
    own = network.state_dict()
    _, tensors = matching.without_prefix(weights.tensors, own)
    fitting = {name: tensors[name] for name in own if name in tensors and tensors[name].shape == own[name].shape}
    others = [
        f"{name} ({matching.shape(tensors[name])}, here {matching.shape(value)})" if name in tensors else name
        for name, value in own.items()
        if name not in fitting and not name.endswith(matching.OPTIONAL)
    ]
    if not any(own[name].dim() > 1 for name in fitting):
        names = ", ".join([*tensors][:SHOWN])
        raise ModelImportError(
            f"--pretrained {weights.file.name}: no weights of {type(network).__name__} have the names and shapes of "
            f"this file. It has {names}, ...; the network has {', '.join([*own][:SHOWN])}, ..."
        )
    network.load_state_dict({**own, **fitting})
    return LoadedCheckpoint(weights, sum(not name.endswith(matching.OPTIONAL) for name in fitting), tuple(others))
