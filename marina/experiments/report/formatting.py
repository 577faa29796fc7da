"""Results as text: numbers, with a dash for a missing one, and the verdict on a comparison of two arms."""

from enum import StrEnum
from math import isfinite

from marina.experiments.statistics.confidence_sequences import MIN_UNITS, Arm, Interval, difference, units_needed

DASH = "–"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent, with three digits.

    >>> percent(0.12345)
    '12.3 %'
    """
    return DASH if fraction is None else f"{100 * fraction:.3g} %"


def milliseconds(seconds: float | None) -> str:
    """Return a duration in milliseconds, with three digits below a second.

    >>> milliseconds(0.0123456)
    '12.3 ms'
    """
    if seconds is None:
        return DASH
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{1000 * seconds:,.0f} ms"


def amount(value: float | None) -> str:
    """Return a number with three digits, or as a whole number from 1,000 on.

    >>> amount(1234.5), amount(0.12345)
    ('1,234', '0.123')
    """
    if value is None:
        return DASH
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


MISMATCH = 0.01  # p-value of a sample ratio below which no result can be trusted


class Outcome(StrEnum):
    """The treatment compared with the control."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    NO_DATA = "no data"


def outcome(treatment: Arm, control: Arm, alpha: float = 0.05) -> Outcome:
    """Return the outcome; it is wrong with probability alpha at most, however often it is computed."""
    if min(treatment.n, control.n) < MIN_UNITS:
        return Outcome.NO_DATA
    interval = difference(treatment, control, alpha)
    if interval.low > 0:
        return Outcome.BETTER
    return Outcome.WORSE if interval.high < 0 else Outcome.UNDECIDED


def verdict(treatment: Arm, control: Arm, alpha: float = 0.05, ratio: float = 1.0) -> str:
    """Return one sentence, with a warning when `ratio`, the sample ratio's p-value, is below MISMATCH."""
    sentence = _sentence(treatment, control, alpha)
    if ratio < MISMATCH:
        return f"{sentence}. Not to be trusted: the users are not split as the weights say (p = {ratio:.2g})"
    return sentence


def _sentence(treatment: Arm, control: Arm, alpha: float) -> str:
    decided = outcome(treatment, control, alpha)
    if decided is Outcome.NO_DATA:
        few = min(treatment, control, key=lambda arm: arm.n)
        return f"no sample: {few.name} has {few.n} users, each variant needs {MIN_UNITS}"
    interval = difference(treatment, control, alpha)
    kind = ", asymptotic" if treatment.sample is None or control.sample is None else ""
    if decided is not Outcome.UNDECIDED:
        size, half = abs(interval.estimate), interval.radius
        by = _estimate(Interval(size, size - half, size + half))
        return f"{treatment.name} is {decided} than {control.name} by {by}{kind}"
    if not isfinite(interval.radius):
        return f"not yet: all rewards are {treatment.mean:.3g}"
    more = units_needed(treatment, control, alpha=alpha)
    users = f"about {_rounded(more):,} more users" if isfinite(more) else "no difference so far"
    return f"not yet: {users} ({_estimate(interval)}{kind})"


def _estimate(interval: Interval) -> str:
    """Return the radius with two digits, and the estimate with as many places: 0.0123 ± 0.0051."""
    places = max(0, 1 - int(f"{interval.radius:e}".partition("e")[2]))
    return f"{interval.estimate:z.{places}f} ± {interval.radius:.{places}f}"


def _rounded(number: float) -> int:
    """Round to two digits."""
    return int(float(f"{number:.1e}"))
