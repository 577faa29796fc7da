"""Column of dates of a table: days as a number, and weekday, month and hour as one-hot vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, ClassVar

from handlers.tables.table_columns import Feature, ValueRefused, moments, one_hot, quantiles, ramps, shown

MAX_YEARS = 100  # from the dates of the training rows; a date beyond them is a mistake
ISO = "ISO 8601"
NONE_OF_THEM = -1.0  # the code of an all-zero one-hot vector
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class DateColumn:
    """Dates: days, standardized, and one-hot weekday, month and, where training had times, hour.

    `format` is of strptime, or ISO 8601, which is always accepted. A time with a zone is converted to UTC.
    """

    name: str
    missing: bool
    format: str
    mean: float
    std: float
    minimum: str
    maximum: str
    time: bool
    edges: Sequence[float] = ()
    kind: str = "date"
    CYCLES: ClassVar[tuple[int, ...]] = (7, 12, 24)

    @classmethod
    def fit(cls, name: str, values: Sequence[Any], beyond: Sequence[Any] = (), form: str = ISO) -> "DateColumn":
        """Return the column of dates that are written in this format."""
        known = [parse_date(value, form) for value in values if value is not None] or [datetime(1970, 1, 1)]
        every = known + [parse_date(value, form) for value in beyond if value is not None]
        numbers = [days(moment) for moment in known]
        mean, std = moments(numbers)
        edges = quantiles([(number - mean) / std for number in numbers])
        time = any(moment.time() != datetime.min.time() for moment in every)
        first, last = min(every).isoformat(), max(every).isoformat()
        return cls(name, None in values or None in beyond, form, mean, std, first[:10], last[:10], time, edges)

    @property
    def features(self) -> list[list[Feature]]:
        """The features of each code: days, whether it is missing, weekday, month and hour."""
        cycles = [one_hot(size) for size in self.CYCLES[: 2 + self.time]]
        return [[Feature(), *ramps(self.edges)], *([[Feature()]] if self.missing else []), *cycles]

    def encode(self, value: Any) -> list[float]:
        """Return the codes of a value. Raises ValueRefused if it is no date in a sensible range."""
        if value is None:
            return [0.0, 1.0, *[NONE_OF_THEM] * (2 + self.time)]
        if not isinstance(value, str):
            raise ValueRefused(f"not a date as text: {shown(value)}")
        try:
            moment = parse_date(value, self.format)
        except ValueError as exc:
            raise ValueRefused(f"not a date: {shown(value)}; the format is {self._written}") from exc
        if not self._earliest <= moment.year <= self._latest:
            raise ValueRefused(f"over {MAX_YEARS} years from the dates of training, {self.minimum} to {self.maximum}")
        codes = [(days(moment) - self.mean) / self.std, *([0.0] if self.missing else [])]
        return [*codes, *(moment.weekday(), moment.month - 1, moment.hour)[: 2 + self.time]]

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        described = f"{self._written}, from {self.minimum} to {self.maximum} in training"
        iso = {"format": "date"} if self.format == ISO and not self.time else {}
        return {"type": "string", "description": described, "examples": [self.minimum], **iso}

    @property
    def _written(self) -> str:
        return ISO if self.format == ISO else f"{self.format} or {ISO}"

    @cached_property
    def _earliest(self) -> int:
        return int(self.minimum[:4]) - MAX_YEARS

    @cached_property
    def _latest(self) -> int:
        return int(self.maximum[:4]) + MAX_YEARS


def parse_date(text: str, form: str) -> datetime:
    """Return a date, in this format or ISO 8601, without its zone. Raises ValueError.

    >>> parse_date("1.2.2020", "%d.%m.%Y").isoformat(), parse_date("2020-02-01T06:30+01:00", ISO).isoformat()
    ('2020-02-01T00:00:00', '2020-02-01T05:30:00')
    """
    if form != ISO:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            pass  # ISO 8601 is unambiguous
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def days(moment: datetime) -> float:
    """Return the days since 1970, with the time of day as a fraction."""
    return moment.toordinal() - EPOCH + (moment.hour + moment.minute / 60 + moment.second / 3600) / 24
