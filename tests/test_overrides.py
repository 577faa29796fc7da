"""Overrides of a CARD: typed, by name, with the nearest name where there is none."""

import pytest

import models
from marina import overrides
from marina.errors import MarinaError
from models.card import Card


def parsed(*words: str, name: str = "lenet") -> dict:
    return overrides.parse(models.find(name), words)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("recipe.epochs=0", 0),
        ("recipe.lr=1e-3", 1e-3),
        ("recipe.schedule=plateau", "plateau"),
        ("recipe.patience=none", None),
        ("recipe.patience=4", 4),
        ("recipe.pretrained=none", None),
        ("recipe.augment=flip, gray", ("flip", "gray")),
        ("recipe.augment=none", ()),
        ("input.mean=0.25", (0.25,)),
        ("serving.workers=cores", "cores"),
        ("serving.workers=2", 2),
        ("serving.channels_last=true", True),
        ("recipe.lr=", overrides.RESET),
    ],
)
def test_a_value_has_the_type_of_its_member(word, value):
    found = parsed(word)[word.partition("=")[0]]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("recipe.wight_decay=1", "lenet has no option recipe.wight_decay; nearest: recipe.weight_decay"),
        ("epoch=1", "lenet has no option epoch; nearest: recipe.epochs"),
        ("input.siez=1", "lenet has no option input.siez; nearest: input.size"),
        ("x=1", "lenet has no option x; they begin with recipe., input. or serving."),
        ("batch_size=4", r"batch_size: recipe.batch_size or serving.batch_size\?"),
        ("recipe.epochs=1.5", "recipe.epochs=1.5: it takes a whole number"),
        ("recipe.lr=fast", "recipe.lr=fast: it takes a number"),
        ("recipe.lr=nan", "recipe.lr=nan: it takes a number"),
        ("recipe.lr=-1", "recipe.lr=-1: it takes a number, at least 0"),
        ("input.size=0", "input.size=0: it takes a whole number, at least 1"),
        ("recipe.schedule=steps", "it takes one of constant, cosine, one_cycle, step, plateau"),
        ("serving.channels_last=maybe", "it takes true or false"),
        ("input.mean=0.5,0.5", "it takes numbers with commas between, 1 of them"),
        ("input.channels=3", "input.channels can't be set: the network's layers have it"),
        ("recipe.checkpoint=a.pth", "recipe.checkpoint can't be set: --pretrained takes a file"),
        ("lr", "lr: an option is a name and a value, such as recipe.lr=1e-3"),
    ],
)
def test_a_wrong_word_is_an_error_that_names_what_is_right(word, message):
    with pytest.raises(MarinaError, match=message):
        parsed(word)


def test_the_card_has_the_overridden_members_and_keeps_the_others():
    card: Card = models.find("lenet")
    changed = overrides.applied(card, parsed("lr=0.5", "size=32", "serving.batch_size=3"))
    assert (changed.recipe.lr, changed.recipe.epochs) == (0.5, card.recipe.epochs)
    assert (changed.input["size"], changed.input["channels"]) == (32, 1)
    assert (changed.serving.batch_size, changed.serving.threads) == (3, card.serving.threads)
    assert models.find("lenet") == card


def test_values_from_card_json_are_those_that_were_given():
    """JSON has lists where a CARD has tuples."""
    changed = overrides.applied(models.find("lenet"), {"recipe.augment": ["flip"], "input.mean": [0.5]})
    assert (changed.recipe.augment, changed.input["mean"]) == (("flip",), (0.5,))


def test_a_member_that_the_card_has_no_longer_is_an_error():
    with pytest.raises(MarinaError, match=r"recipe\.dropout=0\.5 was given in training, and models/lenet\.py has no"):
        overrides.applied(models.find("lenet"), {"recipe.dropout": 0.5})


def test_the_scaled_image_stays_larger_than_its_crop():
    assert parsed("size=56", name="vgg") == {"input.size": 56, "input.resize": 64}  # 28 of 32
    assert parsed("size=56", "resize=60", name="vgg")["input.resize"] == 60
    assert parsed("size=", name="vgg") == {"input.size": "", "input.resize": ""}


@pytest.mark.parametrize("runtime", ["compile", "openvino"])
def test_int8_with_a_runtime_that_has_none_is_refused(runtime):
    found = parsed("serving.precision=int8", f"serving.runtime={runtime}")
    with pytest.raises(MarinaError, match=f'lenet: precision="int8" needs runtime="onnxruntime", not \'{runtime}\''):
        overrides.applied(models.find("lenet"), found)
    assert overrides.applied(models.find("lenet"), parsed("serving.precision=int8")).serving.precision == "int8"
