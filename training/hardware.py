"""What a run may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Lightning's own flags: https://lightning.ai/docs/pytorch/stable/common/trainer.html."""

    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str | None = None  # None: the recipe's
