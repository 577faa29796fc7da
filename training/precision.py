"""In which numbers a network is trained."""

import torch

from handlers.fast import has_bf16
from models.card import Recipe
from training.hardware import Hardware

KNOWN = ("cpu", "cuda")  # on others bf16 takes an explicit word on the command line


def of(recipe: Recipe, hardware: Hardware) -> str:
    """Lightning's `precision`: what the command line says, else what the recipe says, as far as the hardware has it."""
    if hardware.precision is not None:
        return hardware.precision
    device = device_of(hardware)
    bf16 = recipe.precision == "bf16" and device.type in KNOWN and has_bf16(device)
    return "bf16-mixed" if bf16 else "32-true"


def device_of(hardware: Hardware) -> torch.device:
    """What Lightning will train on: the accelerator of this machine, unless it has none or is told not to."""
    accelerator = None if hardware.accelerator == "cpu" else torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")
