"""Images that take more memory than they may are read from disk for each batch, and training is the same."""

import pytest
import torch

import models
from marina.training import run
from marina.training.data import find
from marina.training.data.batches import DistributedBatchSampler, Examples, ReadExamples, data_loader, encoded
from marina.training.hardware import Hardware
from marina.training.tasks import object_detection
from tests.support.own_images import image_folders
from tests.support.voc_samples import devkit
from tests.training.kit import same, weights_of

LIMIT = 24  # bytes


def pair(number: int, target: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((8,), number, dtype=torch.uint8), torch.tensor(target, dtype=torch.int8)


@pytest.mark.parametrize(("count", "kind"), [(2, Examples), (3, ReadExamples)])
def test_the_limit_decides_what_is_kept(count, kind):
    """Each example takes nine bytes."""
    assert type(encoded(range(count), range(count), pair, LIMIT)) is kind


def test_batches_are_the_same_in_memory_and_from_disk():
    kept, read = (encoded(range(10), range(10, 20), pair, memory) for memory in (None, 0))
    loaders = [data_loader(examples, DistributedBatchSampler(examples, 4, seed=1)) for examples in (kept, read)]
    assert [loader.num_workers > 0 for loader in loaders] == [False, True]
    for one, other in zip(*loaders, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_a_classifier_learns_the_same_from_disk(elsewhere):
    image_folders(elsewhere / "mine")
    own = {"recipe.epochs": 2}
    kept = run.train("lenet", "1.0", data="mine", own=own)
    read = run.train("lenet", "1.1", data="mine", own=own, hardware=Hardware(keep_in_memory=0))
    assert same(weights_of(kept), weights_of(read))


def test_boxes_are_read_beside_their_images(elsewhere):
    devkit(elsewhere)
    card = models.find("yolo")
    dataset = find("./VOCdevkit").load("object_detection")
    kept, read = (
        object_detection.ObjectDetection(card, card.recipe, type(dataset)(**{**vars(dataset), "memory": memory}))
        for memory in (None, 0)
    )
    one, other = (task.train_examples[[0, 2]] for task in (kept, read))
    assert isinstance(read.train_examples, ReadExamples)
    assert torch.equal(one[0], other[0])
    for mine, theirs in zip(one[1], other[1], strict=True):
        assert torch.equal(mine["boxes"], theirs["boxes"])
