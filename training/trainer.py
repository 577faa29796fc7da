"""Lightning's Trainer as we want it: what it saves, logs and shows."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint, Timer
from lightning.pytorch.loggers import TensorBoardLogger

from models.card import Recipe
from training import precision
from training.hardware import Hardware
from training.progress import progress
from training.task import Task

WATCHED = "loss/validation"
NOISE = (  # true, and meant to be so
    ".*does not have many workers.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*LeafSpec.*",
    ".*returned `None`, this fit will run with no optimizer.*",
)
SAVES = 25  # checkpoints a run, at most about


def fit(task: Task, recipe: Recipe, hardware: Hardware, folder: Path) -> tuple[Trainer, float]:
    """Train, going on from the checkpoint in `folder` if there is one; returns the trainer and the seconds it took,
    those before an interruption counted in.

    With patience the task ends up with its best weights, otherwise with its last.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for noise in NOISE:
        warnings.filterwarnings("ignore", message=noise)
    checkpoints = folder / "checkpoints"
    last = ModelCheckpoint(
        checkpoints,
        filename="last",
        every_n_epochs=max(1, recipe.epochs // SAVES),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    best = ModelCheckpoint(checkpoints, filename="best", monitor=WATCHED, enable_version_counter=False)
    timer = Timer()  # its state is in the checkpoints
    callbacks: list[Callback] = [last, timer, LearningRateMonitor("step"), progress()]
    if recipe.patience is not None:
        callbacks += [best, EarlyStopping(WATCHED, patience=recipe.patience)]
    trainer = Trainer(
        accelerator=hardware.accelerator,
        devices=int(hardware.devices) if hardware.devices.isdigit() else hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy=hardware.strategy,
        precision=precision.of(recipe, hardware),  # type: ignore[arg-type]
        max_epochs=recipe.epochs,
        logger=TensorBoardLogger(folder, name="logs", version=""),
        callbacks=callbacks,
        use_distributed_sampler=False,  # ours know their rank
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
