"""Lightning's Trainer with Marina's checkpoints, logs and progress."""

import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    RichProgressBar,
    Timer,
)
from lightning.pytorch.loggers import TensorBoardLogger

from marina.training.hardware import Hardware, training_precision
from marina.training.task import MONITORED, Task
from models.card import Recipe

IGNORED_WARNINGS = (  # true, and intended
    ".*does not have many workers.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*LeafSpec.*",
    ".*returned `None`, this fit will run with no optimizer.*",
)
MAX_CHECKPOINTS = 25  # writes in a run, approximately
MAX_LINES = 10  # of progress in a run, approximately


def fit(task: Task, recipe: Recipe, hardware: Hardware, folder: Path) -> tuple[Trainer, float]:
    """Train, resuming from the checkpoint in `folder` if there is one.

    Returns the trainer and the seconds that training took, including those before an interruption. With patience the
    task ends with its best weights, otherwise with its last.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    checkpoints = folder / "checkpoints"
    last = ModelCheckpoint(
        checkpoints,
        filename="last",
        every_n_epochs=max(1, recipe.epochs // MAX_CHECKPOINTS),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    best = ModelCheckpoint(checkpoints, filename="best", monitor=MONITORED, enable_version_counter=False)
    timer = Timer()  # its state is in the checkpoints
    callbacks: list[Callback] = [last, timer, LearningRateMonitor("step"), progress_bar()]
    if recipe.patience is not None:
        callbacks += [best, EarlyStopping(MONITORED, patience=recipe.patience)]
    trainer = Trainer(
        accelerator=hardware.accelerator,
        devices=int(hardware.devices) if hardware.devices.isdigit() else hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy=hardware.strategy,
        precision=training_precision(recipe, hardware),  # type: ignore[arg-type]
        max_epochs=recipe.epochs,
        gradient_clip_val=recipe.clip_norm if task.automatic_optimization else None,  # otherwise the task clips
        logger=TensorBoardLogger(folder, name="logs", version=""),
        callbacks=callbacks,
        use_distributed_sampler=False,  # our samplers take their rank themselves
        num_sanity_val_steps=0,
        log_every_n_steps=max(1, min(10, len(task.train_examples) // recipe.batch_size)),
        enable_model_summary=False,
    )
    resumed = checkpoints / "last.ckpt"
    trainer.fit(task, ckpt_path=resumed if resumed.is_file() else None, weights_only=True)
    if recipe.patience is not None:
        state: dict[str, Any] = torch.load(best.best_model_path, weights_only=True)
        task.load_state_dict(state["state_dict"])
    return trainer, timer.time_elapsed("train")


def progress_bar() -> ProgressBar:
    """Return a live bar on a terminal; lines for a log, and for parallel jobs of make, whose bars would overwrite each
    other.
    """
    side_by_side = "jobserver" in os.environ.get("MAKEFLAGS", "")
    return RichProgressBar(refresh_rate=5) if sys.stdout.isatty() and not side_by_side else ProgressLines()


class ProgressLines(ProgressBar):
    """A line every few epochs: the epoch, the validation metrics, and the estimated seconds that are left."""

    enabled = True

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        """Print nothing: Lightning calls this in every process of a run but the first."""
        self.enabled = False

    def on_train_start(self, trainer: Trainer, _: LightningModule) -> None:
        self.first_epoch, self.started = trainer.current_epoch, time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        if not self.enabled or (done % max(1, epochs // MAX_LINES) and done < epochs):
            return
        left = (time.monotonic() - self.started) / (done - self.first_epoch) * (epochs - done)
        metrics = ", ".join(
            f"{name.removesuffix('/validation')} {value:.3f}"
            for name, value in trainer.callback_metrics.items()
            if name.endswith("/validation")
        )
        assert isinstance(module, Task)
        print(f"  {module.card.name}: epoch {done} of {epochs}, {metrics}, {left:.0f} s left", flush=True)
