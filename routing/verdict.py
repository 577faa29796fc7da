"""The words for a comparison of two arms."""

from enum import StrEnum
from math import isfinite

from routing.statistics import LEAST, Arm, Interval, difference, units_needed

MISMATCH = 0.01  # a sample ratio's p-value below which no result is to be trusted


class Outcome(StrEnum):
    """Of the treatment, against the control."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    NO_DATA = "no data"


def outcome(treatment: Arm, control: Arm, alpha: float = 0.05) -> Outcome:
    """Wrong with probability alpha at most, however often it is asked."""
    if min(treatment.n, control.n) < LEAST:
        return Outcome.NO_DATA
    found = difference(treatment, control, alpha)
    if found.low > 0:
        return Outcome.BETTER
    return Outcome.WORSE if found.high < 0 else Outcome.UNDECIDED


def verdict(treatment: Arm, control: Arm, alpha: float = 0.05, ratio: float = 1.0) -> str:
    """One sentence, and a warning when `ratio`, the sample ratio's p-value, is below MISMATCH."""
    said = _sentence(treatment, control, alpha)
    if ratio < MISMATCH:
        return f"{said}. Not to be trusted: the users are not split as the weights say (p = {ratio:.2g})"
    return said


def _sentence(treatment: Arm, control: Arm, alpha: float) -> str:
    decided = outcome(treatment, control, alpha)
    if decided is Outcome.NO_DATA:
        few = min(treatment, control, key=lambda arm: arm.n)
        return f"no sample: {few.name} has {few.n} users, each variant needs {LEAST}"
    found = difference(treatment, control, alpha)
    if decided is not Outcome.UNDECIDED:
        gap = Interval(abs(found.estimate), 0, 2 * found.radius)
        return f"{treatment.name} is {decided} than {control.name} by {_figures(gap)}"
    if not isfinite(found.radius):
        return f"not yet: all rewards are {treatment.mean:.3g}"
    more = units_needed(treatment, control, alpha=alpha)
    users = f"about {_rounded(more):,} more users" if isfinite(more) else "no difference so far"
    return f"not yet: {users} ({_figures(found)})"


def _figures(interval: Interval) -> str:
    """The radius to two digits, and the estimate to as many places: 0.0123 ± 0.0051."""
    places = max(0, 1 - int(f"{interval.radius:e}".partition("e")[2]))
    return f"{interval.estimate:z.{places}f} ± {interval.radius:.{places}f}"


def _rounded(number: float) -> int:
    """To two digits."""
    return int(float(f"{number:.1e}"))
