"""What the weights depend on."""

from dataclasses import asdict, replace

import models
from training.fingerprint import LATER, fingerprint, network_source, settings


def test_the_fingerprint_changes_with_all_that_the_weights_depend_on():
    card = models.find("text_lstm")
    facts = (card, card.recipe, "data", "full")
    assert fingerprint(*facts) == fingerprint(*facts)
    others = {
        fingerprint(*facts),
        fingerprint(card, replace(card.recipe, seed=1), "data", "full"),
        fingerprint(card, card.recipe, "other", "full"),
        fingerprint(card, card.recipe, "data", "quick"),
        fingerprint(card, replace(card.recipe, precision="bf16"), "data", "full"),
        fingerprint(card, replace(card.recipe, teacher=0.5), "data", "full"),
        fingerprint(replace(card, input={"max_words": 3}), card.recipe, "data", "full"),
        fingerprint(replace(card, network=models.find("text_cnn").network), card.recipe, "data", "full"),
    }
    assert len(others) == 8
    assert fingerprint(replace(card, floor={}, anchor=""), card.recipe, "data", "full") == fingerprint(*facts)


def test_a_member_that_came_later_counts_once_it_is_used():
    """What was trained before there was a precision to choose is up to date as long as it is fp32."""
    recipe = models.find("lenet").recipe
    assert recipe.precision == "fp32"
    assert settings(recipe) == {name: value for name, value in asdict(recipe).items() if name not in LATER}
    assert settings(replace(recipe, precision="bf16")) == settings(recipe) | {"precision": "bf16"}


def test_the_networks_source_holds_what_it_imports_and_not_the_card():
    source = network_source("models.text_lstm")
    assert set(source) == {"models.text_lstm", "models.parts.text"}
    assert "CARD" not in source["models.text_lstm"]
    assert "reverse_words" in source["models.parts.text"]
