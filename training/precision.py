"""In which numbers a network is trained."""

import torch

from models.card import Recipe
from training.hardware import Hardware

BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # as torch names what x86 and Arm have


def of(recipe: Recipe, hardware: Hardware) -> str:
    """Lightning's `precision`: what the command line says, else what the recipe says, as far as it can be had."""
    if hardware.precision is not None:
        return hardware.precision
    return "bf16-mixed" if recipe.precision == "bf16" and has_bf16(hardware.accelerator) else "32-true"


def has_bf16(accelerator: str) -> bool:
    """Whether what Lightning takes for `accelerator` multiplies bfloat16 itself: by way of float32 it is slower."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return torch.backends.mkldnn.is_available() and any(capabilities.get(name, False) for name in BF16)
