"""Summary of an experiment: its figures, computed from the database."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from marina.experiments import queries
from marina.experiments.history import Change, State, creation, last_split_change
from marina.experiments.queries import NO_REQUESTS, MirrorPair, UnitReward, new_units
from marina.experiments.report.formatting import outcome, verdict
from marina.experiments.report.schema import Agreement, Bounds, Comparison, LastChange, Summary, VariantSummary
from marina.experiments.spec import Experiment
from marina.experiments.statistics.confidence_sequences import Arm, detectable, difference, mean
from marina.experiments.statistics.sequential_tests import sample_ratio

ALPHA = 0.05  # of the whole experiment: its treatments share it (Bonferroni)


def summarize(engine: Engine, state: State, changes: Sequence[Change], now: float) -> Summary:
    """Return the summary; `changes` are all of the experiment's, newest first, and `state` is the one after them.

    >>> changes = history.changes(engine, "digits")  # doctest: +SKIP
    >>> summarize(engine, changes[0].state, changes, time.time()).variants[1].comparison.verdict  # doctest: +SKIP
    'resnet18@2.0 is better than resnet18@1.0 by 0.050 ± 0.021'
    """
    name, since, since_weights = state.experiment.name, creation(changes).at, last_split_change(changes).at
    ratio = sample_ratio(new_units(engine, name, since, since_weights), state.experiment.weights)
    arms = arms_of(state.experiment, queries.rewards(engine, name, since))
    exact = all(arm.sample is not None for arm in arms.values() if arm.n) and state.experiment.reward is not None
    return Summary(
        experiment=name,
        at=now,
        running=state.running,
        since=since,
        since_weights=since_weights,
        last_change=LastChange.model_validate(changes[0]),
        sample_ratio=ratio,
        intervals="exact" if exact else "asymptotic",
        variants=_variants(engine, state.experiment, since_weights, arms, ratio),
        mirrored=agreements(queries.mirror_pairs(engine, name, since)),
    )


def arms_of(experiment: Experiment, rewards: Sequence[UnitReward]) -> dict[str, Arm]:
    """Return the arms by variant, in the order of the spec."""
    by_variant: dict[str, list[float]] = {name: [] for name in experiment.weights}
    for unit in rewards:
        if unit.variant in by_variant:  # another node may have sent requests to variants that ran here before
            by_variant[unit.variant].append(unit.reward)
    bounds = reward_bounds(experiment, rewards)
    return {name: Arm.of(name, values, bounds) for name, values in by_variant.items()}


def reward_bounds(experiment: Experiment, rewards: Sequence[UnitReward]) -> tuple[float, float] | None:
    """Return the declared bounds; None where there are none, or where older feedback is outside."""
    bounds = experiment.reward
    if bounds is None or not all(bounds.low <= unit.reward <= bounds.high for unit in rewards):
        return None
    return bounds.low, bounds.high


def alpha_of(experiment: Experiment) -> float:
    """Return the error probability of each comparison with the control."""
    return ALPHA / (len(experiment.variants) - 1)


def quantiles(seconds: Sequence[float | None] | NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return median and 99th percentile of the known values; each is one of them.

    >>> quantiles([None, 3.0, 1.0, 2.0])
    (2.0, 3.0)
    """
    values = np.asarray(seconds, dtype=float)
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    p50, p99 = np.quantile(known, (0.5, 0.99), method="inverted_cdf")
    return float(p50), float(p99)


def agreements(pairs: Iterable[MirrorPair]) -> tuple[Agreement, ...]:
    """Return one comparison for each live variant and each of its mirrors.

    Pairs of a variant with itself are left out: the control that replaced a failed variant may be the mirror.
    """
    different = sorted((pair for pair in pairs if pair.variant != pair.mirror), key=_variant_and_mirror)
    groups = groupby(different, _variant_and_mirror)
    return tuple(_agreement(live, mirror, list(group)) for (live, mirror), group in groups)


def _variant_and_mirror(pair: MirrorPair) -> tuple[str, str]:
    return pair.variant, pair.mirror


def _agreement(live: str, mirror: str, pairs: Sequence[MirrorPair]) -> Agreement:
    good = [pair for pair in pairs if 200 <= pair.status < 300]
    both = [pair for pair in good if 200 <= pair.mirror_status < 300]
    live_p50, live_p99 = quantiles([pair.seconds for pair in both])
    mirror_p50, mirror_p99 = quantiles([pair.mirror_seconds for pair in both])
    return Agreement(
        live=live,
        mirror=mirror,
        pairs=len(pairs),
        errors=len(good) - len(both),
        same_label=_mean([one == other for one, other in _values(both, "label")]),
        probability_difference=_mean([abs(one - other) for one, other in _values(both, "probability")]),
        number_difference=_mean([abs(one - other) for one, other in _values(both, "prediction")]),
        live_p50=live_p50,
        live_p99=live_p99,
        mirror_p50=mirror_p50,
        mirror_p99=mirror_p99,
    )


def _values(pairs: Sequence[MirrorPair], field: str) -> list[tuple[Any, Any]]:
    """Return that field of both predictions, of the pairs where both have it."""
    both = [((pair.prediction or {}).get(field), (pair.mirror_prediction or {}).get(field)) for pair in pairs]
    return [(one, other) for one, other in both if one is not None and other is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _variants(
    engine: Engine, experiment: Experiment, since_weights: float, arms: Mapping[str, Arm], ratio: float
) -> tuple[VariantSummary, ...]:
    requests = queries.requests(engine, experiment.name, since_weights)
    shares = queries.shares(engine, experiment.name, since_weights)
    total = sum(len(each.at) for each in requests.values())
    summaries = []
    for name, weight in experiment.weights.items():
        assigned, arm = requests.get(name, NO_REQUESTS), arms[name]
        p50, p99 = quantiles(assigned.seconds)
        count, errors = len(assigned.at), int(assigned.failed.sum())
        summaries.append(
            VariantSummary(
                name=name,
                role="control" if name == experiment.control else "treatment",
                weight=weight,
                share=count / total if total else None,
                users=shares[name].units if name in shares else 0,
                requests=count,
                errors=errors,
                error_rate=errors / count if count else None,
                p50=p50,
                p99=p99,
                rewarded=arm.n,
                reward=Bounds.of(mean(arm, ALPHA), known=arm.n > 0),
                comparison=_comparison(experiment, arm, arms[experiment.control], ratio),
            )
        )
    return tuple(summaries)


def _comparison(experiment: Experiment, arm: Arm, control: Arm, ratio: float) -> Comparison | None:
    if arm is control:
        return None
    alpha = alpha_of(experiment)
    return Comparison(
        difference=Bounds.of(difference(arm, control, alpha), known=min(arm.n, control.n) > 0),
        outcome=outcome(arm, control, alpha),
        verdict=verdict(arm, control, alpha, ratio),
        detectable=detectable(arm, control, alpha),
    )
