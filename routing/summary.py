"""What there is to say of an experiment, in figures and words."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from sqlalchemy import Engine

from routing import observed
from routing.agreement import Agreement, agreements
from routing.experiments import Experiment
from routing.figures import Bounds, Figures, Number, quantiles
from routing.history import Change, State, What
from routing.milestones import created, moved
from routing.newcomers import newcomers
from routing.observed import Rewarded
from routing.ratio import sample_ratio
from routing.statistics import Arm, detectable, difference, mean
from routing.verdict import Outcome, outcome, verdict

ALPHA = 0.05  # of the whole experiment: its treatments share it (Bonferroni)


class LastChange(Figures):
    at: float
    who: str
    what: What
    why: str


class Comparison(Figures):
    """The treatment's mean reward minus the control's. `detectable`: the least true difference that a look at the
    present sizes decides with probability 0.8."""

    difference: Bounds
    outcome: Outcome
    verdict: str
    detectable: Number


class VariantSummary(Figures):
    """`share` to `p99` are of the requests that the split gave it since the weights were last moved: `share` of all
    requests, errors also where the control answered instead, latencies of its own good answers (2xx). `reward` is of
    the `rewarded` users since the experiment was created; `comparison` is None for the control."""

    name: str
    role: Literal["control", "treatment"]
    weight: float
    share: Number
    users: int
    requests: int
    errors: int
    error_rate: Number
    p50: Number
    p99: Number
    rewarded: int
    reward: Bounds
    comparison: Comparison | None


class Summary(Figures):
    """Times are in seconds since the epoch: `at` is when it was made, `since` when the experiment was created,
    `since_weights` when its split was last moved. `sample_ratio` is a p-value. A mirror counts since the creation."""

    experiment: str
    at: float
    running: bool
    since: float
    since_weights: float
    last_change: LastChange
    sample_ratio: float
    variants: tuple[VariantSummary, ...]
    mirrored: tuple[Agreement, ...]


def summarize(engine: Engine, state: State, changes: Sequence[Change], now: float) -> Summary:
    """`changes` are all of the experiment's, the newest first; `state` is the one after it."""
    name, since, since_weights = state.experiment.name, created(changes).at, moved(changes).at
    ratio = sample_ratio(newcomers(engine, name, since, since_weights), state.experiment.weights)
    arms = arms_of(state.experiment, observed.rewards(engine, name, since))
    return Summary(
        experiment=name,
        at=now,
        running=state.running,
        since=since,
        since_weights=since_weights,
        last_change=LastChange.model_validate(changes[0]),
        sample_ratio=ratio,
        variants=_variants(engine, state.experiment, since_weights, arms, ratio),
        mirrored=agreements(observed.mirror_pairs(engine, name, since)),
    )


def arms_of(experiment: Experiment, rewarded: Sequence[Rewarded]) -> dict[str, Arm]:
    """By variant, in order."""
    rewards: dict[str, list[float]] = {name: [] for name in experiment.weights}
    for unit in rewarded:
        if unit.variant in rewards:  # another node may have sent requests to what ran here before
            rewards[unit.variant].append(unit.reward)
    return {name: Arm.of(name, values) for name, values in rewards.items()}


def alpha_of(experiment: Experiment) -> float:
    """For each comparison with the control."""
    return ALPHA / (len(experiment.variants) - 1)


def _variants(
    engine: Engine, experiment: Experiment, since_weights: float, arms: Mapping[str, Arm], ratio: float
) -> tuple[VariantSummary, ...]:
    nothing = observed.Requests(np.empty(0), np.empty(0, dtype=bool), np.empty(0))
    requests = observed.requests(engine, experiment.name, since_weights)
    shares = observed.shares(engine, experiment.name, since_weights)
    whole = sum(len(each.at) for each in requests.values())
    found = []
    for name, weight in experiment.weights.items():
        mine, arm = requests.get(name, nothing), arms[name]
        p50, p99 = quantiles(mine.seconds)
        count, errors = len(mine.at), int(mine.failed.sum())
        found.append(
            VariantSummary(
                name=name,
                role="control" if name == experiment.control else "treatment",
                weight=weight,
                share=count / whole if whole else None,
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
    return tuple(found)


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
