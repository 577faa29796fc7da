"""Several processes share one run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from marina.training.data.batches import DistributedBatchSampler, Examples
from tests.training.kit import ROOT, card_in
from tests.training.two_ranks import run as run_here


def test_two_processes_share_the_batches_and_agree_on_the_weights(elsewhere):
    """Two ranks with batches of 4 learn what one process does with batches of 8."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = [sys.executable, str(Path(__file__).with_name("two_ranks.py")), "2", "4"]
    subprocess.run(script, env=environment, check=True, timeout=300)
    run_here(devices=1, batch_size=8)
    first, second, alone = (
        json.loads(Path(name).read_text()) for name in ("rank0of2.json", "rank1of2.json", "rank0of1.json")
    )
    assert first["weights"] == second["weights"]
    assert not set(first["seen"][:16]) & set(second["seen"][:16])
    assert sorted(first["seen"] + second["seen"]) == sorted(alone["seen"])
    assert first["weights"] == pytest.approx(alone["weights"], abs=1e-5)


def test_the_command_line_trains_on_two_processes_and_writes_once(elsewhere):
    command = [sys.executable, "-m", "marina", "train", "housing_mlp", "--preset", "quick"]
    command += ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert card_in(Path("artifacts/housing_mlp/1.0"))["metrics"]["holdout_rmse"] > 0
    assert done.stdout.count("holdout_rmse") == 1


def test_batches_cover_everything_once_whatever_the_lengths():
    examples = Examples([torch.ones(1 + place % 7) for place in range(100)], torch.arange(100))
    batches = DistributedBatchSampler(examples, 8, seed=0)
    first = list(batches)
    assert len(first) == len(batches) == 12
    assert len({place for batch in first for place in batch}) == 96
    assert list(batches) == first
    batches.set_epoch(1)
    assert list(batches) != first
    everything = list(DistributedBatchSampler(examples, 8, seed=None))
    assert [place for batch in everything for place in batch] == list(range(100))
    ids, targets = examples[everything[0]]
    assert ids.shape == (8, 7)
    assert (ids[0] == torch.tensor([1, 0, 0, 0, 0, 0, 0])).all()
    assert targets.tolist() == list(range(8))
