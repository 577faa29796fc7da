"""Script of each of two processes in test_distributed.py: Lightning starts this file again for the second one."""

import json
import sys
from pathlib import Path

import torch

from marina.training.data.dataset import Dataset, Split
from marina.training.hardware import Hardware
from marina.training.tasks.tabular_regression.task import TabularRegression
from marina.training.trainer import fit
from models import find
from models.card import Recipe

COLUMNS = ("a", "b", "price")


def table(count: int) -> Dataset:
    rows = torch.rand(count, 2, generator=torch.Generator().manual_seed(1))
    split = Split(rows.tolist(), (rows[:, 0] * 3 + rows[:, 1]).tolist())
    return Dataset(split, split, split, columns=COLUMNS)


class Recording(TabularRegression):
    """Notes what it trains on, and the weights it ends up with."""

    def on_fit_start(self) -> None:
        self.seen: list[float] = []

    def training_step(self, batch, index):
        self.seen += batch[0][:, 0].tolist()
        return super().training_step(batch, index)

    def on_train_end(self) -> None:
        weights = torch.cat([value.flatten() for value in self.network.state_dict().values()]).tolist()
        Path(f"rank{self.global_rank}of{self.trainer.world_size}.json").write_text(
            json.dumps({"seen": self.seen, "weights": weights})
        )


def run(devices: int, batch_size: int) -> None:
    """Train on `devices` processes, `batch_size` rows each at a time, in the current folder."""
    recipe = Recipe(epochs=2, batch_size=batch_size, lr=1e-2)
    task = Recording(find("housing_mlp"), recipe, table(32))
    strategy = "ddp" if devices > 1 else "auto"
    fit(task, recipe, Hardware("cpu", str(devices), strategy=strategy), Path(f"on{devices}"))


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
