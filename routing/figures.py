"""Numbers as JSON can hold them."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict

from routing.statistics import Interval


def finite(value: float | None) -> float | None:
    """JSON has neither infinity nor NaN: nothing can be said."""
    return value if value is not None and isfinite(value) else None


Number = Annotated[float | None, BeforeValidator(finite)]


class Figures(BaseModel):
    """Latencies are in seconds, rates and shares fractions; weights alone are in percent."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Bounds(Figures):
    """An estimate, and the interval that holds at every look; None where nothing can be said yet."""

    estimate: Number = None
    low: Number = None
    high: Number = None

    @classmethod
    def of(cls, interval: Interval, known: bool) -> Self:
        """`known`: whether there is anything that the estimate is of."""
        return cls.model_validate(interval) if known else cls()


def quantiles(seconds: Sequence[float | None] | NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Median and 99th percentile of those that are known; each is one of them."""
    values = np.asarray(seconds, dtype=float)
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    p50, p99 = np.quantile(known, (0.5, 0.99), method="inverted_cdf")
    return float(p50), float(p99)
