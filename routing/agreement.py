"""How far the replies of a mirror are from the live ones."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from routing.figures import Figures, Number, quantiles
from routing.observed import Pair


class Agreement(Figures):
    """Of one live variant with one mirror, over `pairs` requests that both were asked.

    `errors`: the live answer was good (2xx), the mirror's not. The rest is of what both answered well. Of labels, the
    share that is the same, and the mean absolute difference of their probabilities; of numbers, the mean absolute
    difference.
    """

    live: str
    mirror: str
    pairs: int
    errors: int
    same_label: Number
    probability_difference: Number
    number_difference: Number
    live_p50: Number
    live_p99: Number
    mirror_p50: Number
    mirror_p99: Number


def agreements(pairs: Iterable[Pair]) -> tuple[Agreement, ...]:
    """One for each live variant and each mirror of it; the control that stood in for a failed variant may have been
    the mirror itself, which is no comparison."""
    different = sorted((pair for pair in pairs if pair.variant != pair.mirror), key=_sides)
    return tuple(_agreement(live, mirror, list(group)) for (live, mirror), group in groupby(different, _sides))


def _sides(pair: Pair) -> tuple[str, str]:
    return pair.variant, pair.mirror


def _agreement(live: str, mirror: str, pairs: Sequence[Pair]) -> Agreement:
    good = [pair for pair in pairs if 200 <= pair.status < 300]
    both = [pair for pair in good if 200 <= pair.mirror_status < 300]
    live_p50, live_p99 = quantiles([pair.seconds for pair in both])
    mirror_p50, mirror_p99 = quantiles([pair.mirror_seconds for pair in both])
    return Agreement(
        live=live,
        mirror=mirror,
        pairs=len(pairs),
        errors=len(good) - len(both),
        same_label=_mean([one == other for one, other in _said(both, "label")]),
        probability_difference=_mean([abs(one - other) for one, other in _said(both, "probability")]),
        number_difference=_mean([abs(one - other) for one, other in _said(both, "prediction")]),
        live_p50=live_p50,
        live_p99=live_p99,
        mirror_p50=mirror_p50,
        mirror_p99=mirror_p99,
    )


def _said(pairs: Sequence[Pair], field: str) -> list[tuple[Any, Any]]:
    """What both sides said there, of the pairs where both did."""
    both = [((pair.prediction or {}).get(field), (pair.mirror_prediction or {}).get(field)) for pair in pairs]
    return [(one, other) for one, other in both if one is not None and other is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
