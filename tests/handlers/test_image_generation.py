"""Image generation: reproducible images from seeds, independent of each other, as JSON or as one PNG."""

import io

import pytest
from PIL import Image

import models
from tests.support.worker import JSON, SampleRequest

NAMES = [name for name in models.names() if models.find(name).task == "image_generation"]


def request(**options) -> SampleRequest:
    return SampleRequest({"body": options}, JSON)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_images_whatever_else_is_in_the_batch(worker, name):
    alone, other = worker(name).send(request(seed=3, count=4), request(seed=4, count=4))
    *_, again = worker(name).send(request(seed=5, count=3), request(seed=6), request(seed=3, count=4))
    assert again.json["images"] == alone.json["images"]
    assert again.json["seed"] == 3
    assert len(set(alone.json["images"])) == 4
    assert not set(alone.json["images"]) & set(other.json["images"])


@pytest.mark.parametrize("name", NAMES)
def test_a_random_seed_is_returned(worker, name):
    first, second = worker(name).send(request(count=2), request(count=2))
    assert first.json["seed"] != second.json["seed"]
    (again,) = worker(name).send(request(seed=first.json["seed"], count=2))
    assert again.json["images"] == first.json["images"]


@pytest.mark.parametrize("name", NAMES)
def test_several_images_as_one_picture(worker, name):
    size = models.find(name).input["size"]
    for count, shape in ((1, (size, size)), (5, (3 * size, 2 * size))):
        (response,) = worker(name).send(
            SampleRequest({"body": {"seed": 1, "count": count}}, {**JSON, "accept": "image/png"})
        )
        assert response.content_type == "image/png"
        assert Image.open(io.BytesIO(response.body)).size == shape


@pytest.mark.parametrize("name", NAMES)
def test_a_label_sets_the_class_and_the_seed_the_image(worker, name):
    free, same, other, again = worker(name).send(
        request(seed=3, count=8),
        request(seed=3, count=8, label="1"),
        request(seed=3, count=8, label="2"),
        request(seed=3, count=8),
    )
    assert same.json["labels"] == ["1"] * 8
    assert other.json["labels"] == ["2"] * 8
    assert free.json["labels"] == again.json["labels"]
    assert len(set(free.json["labels"])) > 1
    for place, label in enumerate(free.json["labels"]):  # the same numbers, so the same image where the label is it
        assert (free.json["images"][place] == same.json["images"][place]) == (label == "1")
    assert not set(same.json["images"]) & set(other.json["images"])


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_drawn_evenly(worker, name):
    responses = worker(name).send(*(request(seed=seed, count=64) for seed in range(8)))
    drawn = [label for response in responses for label in response.json["labels"]]
    assert set(drawn) == set(map(str, range(10)))
    assert min(map(drawn.count, set(drawn))) > 30
