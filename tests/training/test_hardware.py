"""Precision and memory format of training."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import models
from marina.cli import main
from marina.training import hardware as hardware_options
from marina.training import run as fit
from marina.training import tasks, trainer
from marina.training.data import find
from marina.training.hardware import Hardware
from marina.training.task import Task
from models.card import Recipe


def recipe(**members) -> Recipe:
    return Recipe(epochs=1, batch_size=1, lr=1, **members)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch):
    """`device(kind, bf16)`: a machine with this accelerator (None: without one), which has bf16 or not."""

    def machine(kind: str | None, bf16: bool) -> list[str]:
        requested = []
        found = torch.device(kind) if kind else None
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: found)
        monkeypatch.setattr(hardware_options, "has_bf16", lambda which: requested.append(which.type) or bf16)
        return requested

    return machine


def trained(name: str, seen: dict) -> tuple[trainer.Trainer, Task]:
    """An epoch of a few examples; `seen` gets the input and the output of the network's first training step."""
    card = models.find(name)
    task = tasks.find(card.task)(card, card.recipe, fit.quick_subset(find(card.data).load()))

    def note(_, inputs, output) -> None:
        if task.training:
            seen.setdefault("step", (inputs[0], output))

    task.network.register_forward_hook(note)
    run, _ = trainer.fit(task, card.recipe, Hardware("cpu", "1"), Path())
    return run, task


def test_bf16_is_for_recipes_that_ask_and_hardware_that_has_it(device):
    device(None, bf16=True)
    assert hardware_options.training_precision(recipe(precision="bf16"), Hardware()) == "bf16-mixed"
    assert hardware_options.training_precision(recipe(), Hardware()) == "32-true"
    device(None, bf16=False)
    assert hardware_options.training_precision(recipe(precision="bf16"), Hardware()) == "32-true"


def test_the_device_that_is_trained_on_is_asked(device):
    requested = device("cuda", bf16=True)
    assert hardware_options.training_precision(recipe(precision="bf16"), Hardware("auto")) == "bf16-mixed"
    assert hardware_options.training_precision(recipe(precision="bf16"), Hardware("cpu")) == "bf16-mixed"
    assert requested == ["cuda", "cpu"]
    device("mps", bf16=True)
    assert hardware_options.training_precision(recipe(precision="bf16"), Hardware("auto")) == "32-true"


def test_the_command_line_has_the_last_word(device, monkeypatch):
    given = []
    monkeypatch.setattr(fit, "train", lambda *arguments, **_: given.append(arguments[4]) or Path("artifacts"))
    for more in ([], ["--precision", "32-true"], ["--precision", "bf16-mixed"]):
        assert CliRunner().invoke(main.app, ["train", "lenet", *more]).exit_code == 0
    device(None, bf16=True)
    assert [hardware_options.training_precision(recipe(precision="bf16"), hardware) for hardware in given] == [
        "bf16-mixed",
        "32-true",
        "bf16-mixed",
    ]
    device(None, bf16=False)
    assert [hardware_options.training_precision(recipe(), hardware) for hardware in given] == [
        "32-true",
        "32-true",
        "bf16-mixed",
    ]


@pytest.mark.parametrize(
    ("bf16", "name", "kind"), [(True, "bf16-mixed", torch.bfloat16), (False, "32-true", torch.float32)]
)
def test_the_recipes_precision_reaches_the_network(card, device, bf16, name, kind):
    """The steps compute in it; the weights, and what the optimizer remembers of them, stay float32."""
    card("lenet", epochs=1, batch_size=64, precision="bf16")
    device(None, bf16)
    seen = {}
    run, task = trained("lenet", seen)
    assert run.precision == name
    assert seen["step"][1].dtype == kind
    kept = [*task.network.parameters(), *(state["exp_avg"] for state in run.optimizers[0].state.values())]
    assert {value.dtype for value in kept} == {torch.float32}


def test_convolutional_networks_train_in_channels_last(card):
    card("mobilenet_v1", epochs=1)
    seen = {}
    _, task = trained("mobilenet_v1", seen)
    assert seen["step"][0].is_contiguous(memory_format=torch.channels_last)
    assert not seen["step"][0].is_contiguous()
    wide = [value for value in task.network.parameters() if value.dim() == 4]
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in wide)


@pytest.mark.parametrize("gpu", [True, False])
def test_batches_for_a_gpu_are_pinned(card, monkeypatch, gpu):
    card("housing_mlp", epochs=1)
    monkeypatch.setattr(Task, "on_gpu", gpu)
    run, _ = trained("housing_mlp", {})
    assert run.train_dataloader.pin_memory is gpu
