"""Schema of an experiment's summary: the JSON of /v1/experiments, which the table and the report show.

Latencies are in seconds, rates and shares are fractions, only weights are in percent. JSON has neither infinity nor
NaN: a number that is not available is null.
"""

from math import isfinite
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

from marina.experiments.history import ChangeKind
from marina.experiments.report.formatting import Outcome
from marina.experiments.statistics.confidence_sequences import Interval


def finite(value: float | None) -> float | None:
    """Return None for infinity and NaN, which JSON can't represent."""
    return value if value is not None and isfinite(value) else None


JsonNumber = Annotated[float | None, BeforeValidator(finite)]


class ReportModel(BaseModel):
    """A frozen part of the summary, which can be made from an object with the same attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Bounds(ReportModel):
    """An estimate, and its interval, which holds at all times together; None where there is none yet."""

    estimate: JsonNumber = None
    low: JsonNumber = None
    high: JsonNumber = None

    @classmethod
    def of(cls, interval: Interval, known: bool) -> Self:
        """Return the bounds of an interval; `known` is False where there is no data to estimate from."""
        return cls.model_validate(interval) if known else cls()


class LastChange(ReportModel):
    """The last change of the experiment; `at` is in seconds since the epoch."""

    at: float
    who: str
    what: ChangeKind
    why: str


class Comparison(ReportModel):
    """The treatment's mean reward minus the control's.

    `detectable` is the least true difference that one check at the present sizes finds with probability 0.8.
    """

    difference: Bounds
    outcome: Outcome
    verdict: str
    detectable: JsonNumber


class VariantSummary(ReportModel):
    """Figures of one variant.

    `share` to `p99` are of the requests that the split assigned to it since the weights last changed: `share` is of all
    requests, errors include those where the control responded instead, latencies are of its own successful responses
    (2xx). `reward` is of the `rewarded` users since the experiment was created; `comparison` is None for the control.
    """

    name: str
    role: Literal["control", "treatment"]
    weight: float
    share: JsonNumber
    users: int
    requests: int
    errors: int
    error_rate: JsonNumber
    p50: JsonNumber
    p99: JsonNumber
    rewarded: int
    reward: Bounds
    comparison: Comparison | None


class Agreement(ReportModel):
    """One live variant compared with one mirror, over the `pairs` requests that both got.

    `errors`: the live response was successful (2xx), the mirror's not. The rest is of requests where both were. Of
    labels, the share that is the same, and the mean absolute difference of their probabilities; of numbers, the mean
    absolute difference.
    """

    live: str
    mirror: str
    pairs: int
    errors: int
    same_label: JsonNumber
    probability_difference: JsonNumber
    number_difference: JsonNumber
    live_p50: JsonNumber
    live_p99: JsonNumber
    mirror_p50: JsonNumber
    mirror_p99: JsonNumber


class Summary(ReportModel):
    """Figures of an experiment. Times are in seconds since the epoch.

    `at` is when the summary was made, `since` when the experiment was created, `since_weights` when its split last
    changed. `sample_ratio` is a p-value. `intervals` of rewards are exact where the rewards have bounds. A mirror's
    figures are since the creation.
    """

    experiment: str
    at: float
    running: bool
    since: float
    since_weights: float
    last_change: LastChange
    sample_ratio: float
    intervals: Literal["exact", "asymptotic"]
    variants: tuple[VariantSummary, ...]
    mirrored: tuple[Agreement, ...]
