"""On a machine with a GPU, handlers use it with the same results; elsewhere the check reports that there is none."""

import subprocess
import sys

import pytest
import torch

import models
from marina.settings import ROOT
from tests import tasks
from tests.support.worker import SampleRequest, Worker, untrained

HAS_GPU = torch.cuda.is_available()


@pytest.mark.skipif(HAS_GPU, reason="this machine has a CUDA device")
def test_gpu_check_says_why_it_is_skipped():
    command = [sys.executable, "-m", "marina", "gpu-check"]
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
    for request in (fine, SampleRequest(fine.fields, {**fine.headers, "explain": "True"})):
        (here,), (there,) = cpu.send(request), gpu.send(request)
        explained = request is fine or cpu.handler.explanation_schema is not None
        assert here.status == there.status == (200 if explained else 400)
        assert here.json.keys() == there.json.keys()
        shown = tasks.find(cpu.card["task"]).numbers if request is fine else figures
        assert shown(there.json) == pytest.approx(shown(here.json), abs=1e-2)


def figures(shown) -> list[float]:
    """The fractions in a reply, but for how exactly an explanation adds up."""
    if isinstance(shown, dict):
        return [figure for name, value in shown.items() if name != "convergence_delta" for figure in figures(value)]
    if isinstance(shown, list):
        return [figure for value in shown for figure in figures(value)]
    return [shown] if isinstance(shown, float) else []
