"""Checkpoints from elsewhere, read as tensors alone: no code of a pickle ever runs."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from marina.errors import ModelImportError

PICKLES = (".pth", ".pt", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *PICKLES)
# Members under which training programs save a state dict, in this order of preference.
NESTED = ("state_dict", "model", "model_state_dict", "net", "ema", "module")
# Torch names what a pickle would import: "GLOBAL posix.system was not an allowed global", "Unsupported class ...".
CODE = re.compile(r"(?:GLOBAL|Unsupported (?:global|class)) ([\w.]+)")


@dataclass(frozen=True)
class Checkpoint:
    """The state dict of a file: `tensors` by name, and the members that it was nested under, outermost first."""

    file: Path
    sha256: str
    tensors: Mapping[str, Tensor]
    nested: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """The number of values in all tensors."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def summary(self, prefix: str) -> str:
        """Return a line about the file, of whose names `prefix` was removed."""
        places = [f"under {'.'.join(self.nested)!r}"] if self.nested else []
        places += [f"prefix {prefix!r} removed"] if prefix else []
        counts = f"{len(self.tensors)} tensors, {self.parameters:,} values"
        return f"{self.file.name}: {', '.join([counts, *places])}; sha256 {self.sha256[:12]}"

    def origin(self, network: str) -> dict[str, str]:
        """Return the origin of a network's weights, as card.json records it."""
        return {"network": network, "file": self.file.name, "sha256": self.sha256}


def read(file: Path) -> Checkpoint:
    """Read a .safetensors file, or a checkpoint that torch.save wrote.

    Raises ModelImportError for a file that is missing, damaged, of another kind, or a pickle that needs code.
    """
    if not file.is_file():
        raise ModelImportError(f"no file {file}: --weights takes {', '.join(SUFFIXES)}")
    if file.suffix not in SUFFIXES:
        raise ModelImportError(f"{file}: weights are read from {', '.join(SUFFIXES)}, not from {file.suffix or 'this'}")
    content = _safetensors(file) if file.suffix == ".safetensors" else _pickle(file)
    found = state_dict(content)
    if found is None:
        raise ModelImportError(
            f"{file} holds no state dict (tensors by name), also not under {', '.join(NESTED)}: "
            f"save one with torch.save(network.state_dict(), ...)"
        )
    nested, tensors = found
    with file.open("rb") as opened:
        return Checkpoint(file, file_digest(opened, "sha256").hexdigest(), tensors, nested)


def _safetensors(file: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as exc:
        raise ModelImportError(f"{file} is truncated, or no safetensors file: {exc}") from exc


def _pickle(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about files that are refused below
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as exc:  # whatever a damaged file leads to: UnpicklingError, EOFError, RuntimeError, KeyError, ...
        if needed := CODE.search(str(exc)):
            raise ModelImportError(
                f"{file} is refused: loading it would run code ({needed[1]}), and only tensors are read. Where it "
                f"comes from, save the weights alone: torch.save(network.state_dict(), ...)"
            ) from exc
        if "TorchScript" in str(exc):
            raise ModelImportError(
                f"{file} is a TorchScript archive, a program: save the weights of its network as a state dict"
            ) from exc
        raise ModelImportError(f"{file} is truncated, or no checkpoint of tensors alone, as torch.save writes") from exc


def state_dict(content: Any) -> tuple[tuple[str, ...], dict[str, Tensor]] | None:
    """Return the members that a state dict is nested under, and its tensors; None if there is none.

    >>> state_dict({"epoch": 3, "state_dict": {"weight": torch.zeros(1)}})
    (('state_dict',), {'weight': tensor([0.])})
    """
    if not isinstance(content, Mapping):
        return None
    for member in NESTED:
        found = state_dict(content.get(member))
        if found is not None:
            return (member, *found[0]), found[1]
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return ((), tensors) if tensors else None
