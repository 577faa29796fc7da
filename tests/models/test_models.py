"""Every model: its card is whole, and its network is what a handler and a safetensors file need."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import models
from marina.training import tasks as training_tasks
from models.card import LOWER_IS_BETTER
from models.parts.text import reverse_words
from tests import tasks

NAMES = models.names()
ROOT = Path(__file__).parents[2]


def made(name: str):
    torch.manual_seed(0)
    card = models.find(name)
    _, arguments, _ = tasks.find(card.task).facts(card)
    return card.network(**arguments).eval(), arguments


def batch_for(name: str, count: int = 3) -> torch.Tensor:
    card = models.find(name)
    codec, arguments, _ = tasks.find(card.task).facts(card)
    return tasks.find(card.task).inputs(codec, arguments, count)


def test_names_are_the_files():
    assert [name for name in NAMES if not (ROOT / "models" / f"{name}.py").is_file()] == []
    assert "card" not in NAMES


def test_an_unknown_name_raises_an_error_that_lists_all_names():
    with pytest.raises(LookupError, match="resnet18"):
        models.find("resnet19")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_whole(name):
    card = models.find(name)
    assert (ROOT / "handlers" / f"{card.task}.py").is_file()
    assert card.task in training_tasks.names()
    assert card.source
    if card.recipe is None:  # imported: nothing was measured here
        return
    assert card.floor
    assert card.anchor
    assert card.below_floor({}) != []
    assert card.below_floor(dict(card.floor)) == []
    for metric, bound in card.floor.items():
        worse = bound + 0.001 if metric in LOWER_IS_BETTER else bound - 0.001
        assert card.below_floor({**card.floor, metric: worse})
        assert card.below_floor({**card.floor, metric: float("nan")})


@pytest.mark.parametrize("name", NAMES)
def test_the_network_answers_row_by_row(name):
    network, arguments = made(name)
    batch = batch_for(name)
    with torch.inference_mode():
        together = network(batch)
        apart = torch.cat([network(row.unsqueeze(0)) for row in batch])
    width = arguments.get("num_classes") or arguments.get("embedding_dim")
    task = tasks.find(models.find(name).task)
    if hasattr(task, "SHAPE"):
        assert together.shape == (3, *task.SHAPE)
    elif together.dim() < 3:  # else it is a row for each of many boxes
        assert together.shape == ((3, width) if width else (3,))
    assert len(together) == 3
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)
    assert together.std(dim=0).max() > 0, "the output does not depend on the input"


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name):
    network, _ = made(name)
    own = getattr(tasks.find(models.find(name).task), "loss", lambda trained, batch: trained(batch).square().sum())
    own(network.train(), batch_for(name)).backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_safetensors(name, tmp_path):
    network, arguments = made(name)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    again = models.find(name).network(**arguments).eval()
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.inference_mode():
        assert torch.equal(network(batch_for(name)), again(batch_for(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if models.find(name).task == "text_classification"])
def test_padding_changes_nothing(name):
    network, _ = made(name)
    ids = torch.tensor([[2, 3, 4]])
    padded = torch.nn.functional.pad(ids, (0, 9))
    with torch.inference_mode():
        torch.testing.assert_close(network(ids), network(padded), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(network(ids), network(torch.tensor([[2, 3, 5]])))


def test_reversing_words_leaves_padding_at_the_end_and_undoes_itself():
    x = torch.arange(1, 7).view(2, 3, 1).float()
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert reverse_words(x, mask).flatten().tolist() == [2, 1, 3, 6, 5, 4]
    assert torch.equal(reverse_words(reverse_words(x, mask), mask), x)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_begins_with_its_description(name):
    first = (ROOT / "models" / f"{name}.py").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r'""".{15,}', first)
