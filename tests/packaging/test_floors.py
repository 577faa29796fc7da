"""Floors hold for the embedded stand-in; other data have those that the user requests."""

import re
from dataclasses import replace

import pytest

import models
from marina.errors import PackagingError
from marina.packaging import floors

MODEL = models.find("resnet18")  # floor: accuracy 0.94


def card(kind: str = "embedded", name: str = "mnist_m", preset: str = "full", **metrics) -> dict:
    facts = {"name": "resnet18", "version": "1.0", "preset": preset, "metrics": {"accuracy": 0.931, **metrics}}
    return facts | {"data": {"name": name, "kind": kind}}


MISS = "accuracy is 0.931, its floor is 0.94"


def test_a_missed_floor_of_the_stand_in_is_rejected_with_the_way_out():
    with pytest.raises(PackagingError, match=re.escape(f"resnet18 1.0 is below its floor: {MISS}. ")) as refused:
        floors.checked(card(), MODEL, {}, accept=False)
    assert "ACCEPT=1 (--accept)" in str(refused.value)


def test_an_accepted_miss_is_recorded():
    assert floors.checked(card(), MODEL, {}, accept=True) == {"floor": {"accuracy": 0.94}, "accepted": [MISS]}
    assert floors.checked(card(accuracy=0.95), MODEL, {}, accept=True) == {"floor": {"accuracy": 0.94}}


@pytest.mark.parametrize("facts", [{"kind": "real"}, {"name": "mnist"}, {"kind": "real", "name": "mine"}], ids=str)
def test_other_data_have_no_floor(facts):
    assert floors.checked(card(**facts), MODEL, {}, accept=False) == {"floor": {}}


def test_a_requested_floor_is_checked_and_recorded():
    own = card(kind="real", name="mine", rmse=2.0)
    assert floors.checked(own, MODEL, {"accuracy": 0.9, "rmse": 2.5}, accept=False)["floor"] == {
        "accuracy": 0.9,
        "rmse": 2.5,
    }
    with pytest.raises(PackagingError, match=r"rmse is 2\.0, its floor is 1\.5"):
        floors.checked(own, MODEL, {"rmse": 1.5}, accept=False)
    with pytest.raises(PackagingError, match="accuracy is"):
        floors.checked(card(preset="quick"), MODEL, {"accuracy": 0.95}, accept=False)
    # A request replaces the CARD's own bound for that metric.
    assert floors.checked(card(), MODEL, {"accuracy": 0.9}, accept=False) == {"floor": {"accuracy": 0.9}}


def test_a_floor_of_an_unknown_metric_names_those_there_are():
    with pytest.raises(PackagingError, match=r"^resnet18 1\.0 has no metric f1; it has: accuracy, top5$"):
        floors.checked(card(top5=1.0), MODEL, {"f1": 0.9}, accept=True)


def test_the_metrics_on_other_data_stand_beside_the_published_figure():
    line = floors.measured(card(kind="real", name="mine", top5=1.0), MODEL)
    assert line == f"accuracy 0.9310, top5 1.0000 on mine; published: {MODEL.anchor}"
    assert floors.measured(card(name="mine"), replace(MODEL, anchor="")) == "accuracy 0.9310 on mine"
    assert floors.measured({"metrics": {}}, MODEL) == "imported without --data: no metrics"


def test_the_first_equals_sign_ends_the_metric():
    with pytest.raises(PackagingError, match=r"^FLOOR=a=b=1: "):
        floors.parse(["a=b=1"])


@pytest.mark.parametrize("word", ["accuracy", "accuracy=", "=0.9", "accuracy=high", "accuracy=nan"])
def test_a_floor_that_is_none_is_refused(word):
    with pytest.raises(PackagingError, match=f"^FLOOR={word}: a floor is a metric and a number"):
        floors.parse(["f1=0.8", word])
