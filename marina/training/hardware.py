"""Hardware options of a training run, and the training precision that the hardware supports."""

from dataclasses import dataclass

import torch

from handlers.runtime.eager import has_bf16
from models.card import Recipe

BF16_DEVICES = ("cpu", "cuda")  # on others bf16 has to be requested on the command line


@dataclass(frozen=True)
class Hardware:
    """Lightning's own flags: https://lightning.ai/docs/pytorch/stable/common/trainer.html.

    `keep_in_memory` bounds the encoded images of a split, in megabytes; larger ones are read from disk for each batch.
    """

    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str | None = None  # None: the recipe's
    keep_in_memory: int | None = None  # None: a quarter of the memory

    @property
    def memory(self) -> int | None:
        """`keep_in_memory` in bytes."""
        return None if self.keep_in_memory is None else self.keep_in_memory * 1_000_000


def training_precision(recipe: Recipe, hardware: Hardware) -> str:
    """Return Lightning's `precision`: the one on the command line, else the recipe's as far as the hardware supports
    it.
    """
    if hardware.precision is not None:
        return hardware.precision
    device = training_device(hardware)
    bf16 = recipe.precision == "bf16" and device.type in BF16_DEVICES and has_bf16(device)
    return "bf16-mixed" if bf16 else "32-true"


def training_device(hardware: Hardware) -> torch.device:
    """Return the device that Lightning will train on: this machine's accelerator, or the CPU if there is none or the
    options ask for it.
    """
    accelerator = None if hardware.accelerator == "cpu" else torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")
