"""New images from seeds: again the same, each one its own, as JSON or as one picture."""

import io

import pytest
from PIL import Image

import models
from tests.worker import JSON, Ask

NAMES = [name for name in models.names() if models.find(name).task == "image_generation"]


def ask(**options) -> Ask:
    return Ask({"body": options}, JSON)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_images_whatever_else_is_in_the_batch(worker, name):
    alone, other = worker(name).ask(ask(seed=3, count=4), ask(seed=4, count=4))
    *_, again = worker(name).ask(ask(seed=5, count=3), ask(seed=6), ask(seed=3, count=4))
    assert again.json["images"] == alone.json["images"]
    assert again.json["seed"] == 3
    assert len(set(alone.json["images"])) == 4
    assert not set(alone.json["images"]) & set(other.json["images"])


@pytest.mark.parametrize("name", NAMES)
def test_without_a_seed_the_reply_says_which_it_was(worker, name):
    first, second = worker(name).ask(ask(count=2), ask(count=2))
    assert first.json["seed"] != second.json["seed"]
    (again,) = worker(name).ask(ask(seed=first.json["seed"], count=2))
    assert again.json["images"] == first.json["images"]


@pytest.mark.parametrize("name", NAMES)
def test_several_images_as_one_picture(worker, name):
    size = models.find(name).input["size"]
    for count, shape in ((1, (size, size)), (5, (3 * size, 2 * size))):
        (reply,) = worker(name).ask(Ask({"body": {"seed": 1, "count": count}}, {**JSON, "accept": "image/png"}))
        assert reply.content_type == "image/png"
        assert Image.open(io.BytesIO(reply.body)).size == shape


@pytest.mark.parametrize("name", NAMES)
def test_a_label_decides_what_is_made_and_the_seed_how(worker, name):
    free, same, other, again = worker(name).ask(
        ask(seed=3, count=8), ask(seed=3, count=8, label="1"), ask(seed=3, count=8, label="2"), ask(seed=3, count=8)
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
    replies = worker(name).ask(*(ask(seed=seed, count=64) for seed in range(8)))
    drawn = [label for reply in replies for label in reply.json["labels"]]
    assert set(drawn) == set(map(str, range(10)))
    assert min(map(drawn.count, set(drawn))) > 30
