"""How far a mirror's replies are from the live ones, and figures that JSON can hold."""

from math import inf, nan

import numpy as np
import pytest

from routing.agreement import agreements
from routing.figures import Bounds, finite, quantiles
from routing.observed import Pair, Rewarded
from routing.statistics import Arm, Interval
from routing.summary import alpha_of, arms_of
from tests.routing.rows import A, B, C, state


def pair(variant: str, mirror: str, **fields) -> Pair:
    common = {"request_id": "r", "at": 0.0, "variant": variant, "mirror": mirror, "status": 200, "mirror_status": 200}
    rest = {"seconds": 0.01, "mirror_seconds": 0.02, "prediction": None, "mirror_prediction": None}
    return Pair(**{**common, **rest, **fields})


def test_one_for_each_live_variant_and_each_mirror_of_it():
    found = agreements([pair(B, C), pair(A, C), pair(A, B), pair(A, C), pair(C, C)])
    assert [(it.live, it.mirror, it.pairs) for it in found] == [(A, B, 1), (A, C, 2), (B, C, 1)]
    assert agreements([]) == agreements([pair(C, C)]) == ()


def test_good_replies_are_2xx():
    statuses = [(199, 200), (200, 199), (299, 299), (300, 500), (200, 300), (200, 200)]
    (found,) = agreements(
        pair(A, B, status=live, mirror_status=copy, seconds=number, mirror_seconds=10 * number)
        for number, (live, copy) in enumerate(statuses)
    )
    assert (found.pairs, found.errors) == (6, 2)
    assert (found.live_p50, found.live_p99, found.mirror_p50, found.mirror_p99) == (2, 5, 20, 50)


def test_differences_are_absolute_means_of_what_both_said():
    said = [
        ({"label": "7", "probability": 0.5}, {"label": "7", "probability": 0.75}),
        ({"label": "7", "probability": 0.75}, {"label": "8", "probability": 0.25}),
        ({"label": "7"}, {"prediction": 1.0}),
        ({"prediction": 2.0}, {"prediction": 1.0}),
        ({"prediction": 2.0}, {"prediction": 4.0}),
        (None, {"label": "7"}),
    ]
    (found,) = agreements(pair(A, B, prediction=live, mirror_prediction=copy) for live, copy in said)
    assert (found.same_label, found.probability_difference, found.number_difference) == (0.5, 0.375, 1.5)
    (found,) = agreements([pair(A, B)])
    assert (found.same_label, found.probability_difference, found.number_difference) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "said"), [(None, None), (inf, None), (-inf, None), (nan, None), (0.0, 0.0), (2.5, 2.5)]
)
def test_what_json_cannot_hold_is_none(value, said):
    assert finite(value) == said


def test_bounds_of_an_interval():
    assert Bounds.of(Interval(1.0, 0.5, inf), known=True).model_dump() == {"estimate": 1, "low": 0.5, "high": None}
    assert Bounds.of(Interval(1.0, 0.5, 1.5), known=False).model_dump() == {"estimate": None, "low": None, "high": None}


def test_quantiles_are_among_the_values():
    assert quantiles(np.arange(1, 201) / 10) == (10, 19.8)
    assert quantiles([1.0, 2.0]) == (1, 2)
    assert {type(value) for value in quantiles([1.0])} == {float}


def test_arms_are_those_of_the_variants_in_order():
    units = [Rewarded("u", B, 0, 1.0), Rewarded("v", B, 0, 0.0), Rewarded("w", C, 0, 9.0)]
    found = arms_of(state(b=50, a=50).experiment, units)
    assert list(found.items()) == [(B, Arm(B, 2, 0.5, 0.5)), (A, Arm(A, 0, 0.0, 0.0))]


def test_treatments_share_five_per_cent():
    assert alpha_of(state(a=50, b=50).experiment) == 0.05
    assert alpha_of(state(a=50, b=30, c=20).experiment) == 0.025
