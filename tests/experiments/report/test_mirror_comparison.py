"""Comparison of a mirror's responses with the live ones, and numbers that are valid JSON."""

from math import inf, nan

import numpy as np
import pytest

from marina.experiments.queries import MirrorPair, UnitReward
from marina.experiments.report.schema import Bounds, finite
from marina.experiments.report.summary import agreements, alpha_of, arms_of, quantiles
from marina.experiments.statistics.confidence_sequences import Arm, Interval
from tests.experiments.rows import A, B, C, state


def pair(variant: str, mirror: str, **fields) -> MirrorPair:
    common = {"id": "r", "at": 0.0, "variant": variant, "mirror": mirror, "status": 200, "mirror_status": 200}
    rest = {"seconds": 0.01, "mirror_seconds": 0.02, "prediction": None, "mirror_prediction": None}
    return MirrorPair(**{**common, **rest, **fields})


def test_one_for_each_live_variant_and_each_mirror_of_it():
    result = agreements([pair(B, C), pair(A, C), pair(A, B), pair(A, C), pair(C, C)])
    assert [(it.live, it.mirror, it.pairs) for it in result] == [(A, B, 1), (A, C, 2), (B, C, 1)]
    assert agreements([]) == agreements([pair(C, C)]) == ()


def test_successful_responses_are_2xx():
    statuses = [(199, 200), (200, 199), (299, 299), (300, 500), (200, 300), (200, 200)]
    (result,) = agreements(
        pair(A, B, status=live, mirror_status=copy, seconds=number, mirror_seconds=10 * number)
        for number, (live, copy) in enumerate(statuses)
    )
    assert (result.pairs, result.errors) == (6, 2)
    assert (result.live_p50, result.live_p99, result.mirror_p50, result.mirror_p99) == (2, 5, 20, 50)


def test_differences_are_means_over_predictions_of_both():
    expected = [
        ({"label": "7", "probability": 0.5}, {"label": "7", "probability": 0.75}),
        ({"label": "7", "probability": 0.75}, {"label": "8", "probability": 0.25}),
        ({"label": "7"}, {"prediction": 1.0}),
        ({"prediction": 2.0}, {"prediction": 1.0}),
        ({"prediction": 2.0}, {"prediction": 4.0}),
        (None, {"label": "7"}),
    ]
    (result,) = agreements(pair(A, B, prediction=live, mirror_prediction=copy) for live, copy in expected)
    assert (result.same_label, result.probability_difference, result.number_difference) == (0.5, 0.375, 1.5)
    (result,) = agreements([pair(A, B)])
    assert (result.same_label, result.probability_difference, result.number_difference) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (inf, None), (-inf, None), (nan, None), (0.0, 0.0), (2.5, 2.5)]
)
def test_infinity_and_nan_are_none(value, expected):
    assert finite(value) == expected


def test_bounds_of_an_interval():
    assert Bounds.of(Interval(1.0, 0.5, inf), known=True).model_dump() == {"estimate": 1, "low": 0.5, "high": None}
    assert Bounds.of(Interval(1.0, 0.5, 1.5), known=False).model_dump() == {"estimate": None, "low": None, "high": None}


def test_quantiles_are_among_the_values():
    assert quantiles(np.arange(1, 201) / 10) == (10, 19.8)
    assert quantiles([1.0, 2.0]) == (1, 2)
    assert {type(value) for value in quantiles([1.0])} == {float}


def test_arms_are_those_of_the_variants_in_order():
    units = [UnitReward("u", B, 0, 1.0), UnitReward("v", B, 0, 0.0), UnitReward("w", C, 0, 9.0)]
    result = arms_of(state(b=50, a=50).experiment, units)
    assert list(result.items()) == [(B, Arm(B, 2, 0.5, 0.5)), (A, Arm(A, 0, 0.0, 0.0))]


def test_treatments_share_five_per_cent():
    assert alpha_of(state(a=50, b=50).experiment) == 0.05
    assert alpha_of(state(a=50, b=30, c=20).experiment) == 0.025
