"""On a machine with a GPU, handlers use it and say the same; elsewhere the check says that there is none."""

import subprocess
import sys

import pytest
import torch

import models
from archive.sources import ROOT
from tests import tasks
from tests.worker import Ask, Worker, untrained

HAS_GPU = torch.cuda.is_available()


@pytest.mark.skipif(HAS_GPU, reason="this machine has a CUDA device")
def test_gpu_check_says_why_it_is_skipped():
    command = [sys.executable, "-m", "serving", "gpu-check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("skipped: there is no NVIDIA GPU here")


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="no CUDA device on this machine")
@pytest.mark.parametrize("name", models.names())
def test_a_gpu_worker_answers_and_explains_like_a_cpu_worker(tmp_path, name):
    folder = untrained(name, tmp_path / name)
    cpu, gpu = Worker(folder), Worker(folder, gpu=0)
    assert next(gpu.handler.network.parameters()).device == torch.device("cuda:0")
    fine = tasks.example(cpu.card["task"])
    for ask in (fine, Ask(fine.fields, {**fine.headers, "explain": "True"})):
        (here,), (there,) = cpu.ask(ask), gpu.ask(ask)
        explained = ask is fine or cpu.handler.EXPLANATION is not None
        assert here.status == there.status == (200 if explained else 400)
        assert here.json.keys() == there.json.keys()
        said = tasks.find(cpu.card["task"]).numbers if ask is fine else figures
        assert said(there.json) == pytest.approx(said(here.json), abs=1e-2)


def figures(said) -> list[float]:
    """The fractions in a reply, but for how exactly an explanation adds up."""
    if isinstance(said, dict):
        return [figure for name, value in said.items() if name != "convergence_delta" for figure in figures(value)]
    if isinstance(said, list):
        return [figure for value in said for figure in figures(value)]
    return [said] if isinstance(said, float) else []
