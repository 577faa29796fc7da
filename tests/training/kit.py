"""Helpers that several tests of training share."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent.parent


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def card_in(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text())


class Stop:
    """Ctrl-C at the start of an epoch, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, task: type, epoch: int) -> None:
        self.epochs: list[int] = []
        self.at: int | None = epoch
        usual = task.on_train_epoch_start

        def start(module) -> None:
            if module.current_epoch == self.at:
                self.at = None
                raise KeyboardInterrupt
            self.epochs.append(module.current_epoch)
            usual(module)

        monkeypatch.setattr(task, "on_train_epoch_start", start)
