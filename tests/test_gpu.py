"""On a machine with a GPU, handlers use it and say the same; elsewhere these are skipped."""

import pytest
import torch

import models
from tests.samples import FINE
from tests.worker import Ask, Worker, untrained

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("name", models.names())
def test_a_gpu_worker_answers_and_explains_like_a_cpu_worker(tmp_path, name):
    folder = untrained(name, tmp_path / name)
    cpu, gpu = Worker(folder), Worker(folder, gpu=0)
    assert next(gpu.handler.network.parameters()).device == torch.device("cuda:0")
    fine = FINE[cpu.card["task"]]
    for ask in (fine, Ask(fine.fields, {**fine.headers, "explain": "True"})):
        (here,), (there,) = cpu.ask(ask), gpu.ask(ask)
        assert here.status == there.status == 200
        assert here.json.keys() == there.json.keys()
    key = "prediction" if "prediction" in here.json else "target"
    value = here.json[key] if key == "prediction" else here.json[key]["probability"]
    other = there.json[key] if key == "prediction" else there.json[key]["probability"]
    assert other == pytest.approx(value, abs=1e-2)
