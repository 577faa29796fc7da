"""How training shows that it goes on."""

import os
import sys
import time

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

from training.task import Task

LINES = 10  # a run, at most about


def progress() -> ProgressBar:
    """A live bar for whoever watches one run; lines for a log, and for make's jobs side by side, whose bars would
    overwrite each other."""
    side_by_side = "jobserver" in os.environ.get("MAKEFLAGS", "")
    return RichProgressBar(refresh_rate=5) if sys.stdout.isatty() and not side_by_side else Lines()


class Lines(ProgressBar):
    """Every few epochs a line: where the run is, what it reached, how long it will still take."""

    shown = True

    def enable(self) -> None:
        self.shown = True

    def disable(self) -> None:
        """Lightning calls this in every process of a run but the first."""
        self.shown = False

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        self.first, self.since = trainer.current_epoch, time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        done, whole = trainer.current_epoch + 1, trainer.max_epochs or 1
        if not self.shown or (done % max(1, whole // LINES) and done < whole):
            return
        left = (time.monotonic() - self.since) / (done - self.first) * (whole - done)
        reached = ", ".join(
            f"{name.removesuffix('/validation')} {value:.3f}"
            for name, value in trainer.callback_metrics.items()
            if name.endswith("/validation")
        )
        assert isinstance(module, Task)
        print(f"  {module.card.name}: epoch {done} of {whole}, {reached}, {left:.0f} s left", flush=True)
