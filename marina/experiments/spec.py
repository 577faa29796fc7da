"""Spec of an experiment, and the reader of experiments.yaml."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from marina.errors import ExperimentError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
HEADER_PATTERN = re.compile(r"[A-Za-z0-9-]+")
TOTAL_PERCENT = 100.0  # percent
RESOLUTION = 0.01  # percent: one bucket of 10,000

ModelT = TypeVar("ModelT", bound=BaseModel)
Percent = Annotated[float, Field(ge=0, le=TOTAL_PERCENT)]


class StrictModel(BaseModel):
    """A frozen model that refuses unknown fields, such as misspelt ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(StrictModel):
    """One version of a model, and its share of the traffic in percent."""

    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    weight: Percent

    @field_validator("version", mode="before")
    @classmethod
    def _to_text(cls, value: Any) -> Any:
        """Accept numbers: YAML parses 1.0 as one."""
        return str(value) if isinstance(value, int | float) else value

    @property
    def name(self) -> str:
        """The variant's name: model@version."""
        return f"{self.model}@{self.version}"


class Mirror(StrictModel):
    """Copies of `percent` of the live requests, sent to the variant `to`; its responses are compared, never sent."""

    to: str
    percent: Percent


class Guard(StrictModel):
    """The limits above which a variant's weight is set to 0.

    Its error rate may be above the control's by at most `errors` (a fraction), and its median and p99 latency at most
    `latency` times the control's.
    """

    errors: float = Field(0.01, ge=0, lt=1)
    latency: float = Field(1.25, gt=1)


class Ramp(StrictModel):
    """The steps (percent) through which the last variant's weight rises while the guard reports no violation.

    Each is held for at least `seconds` and until the variant has got `requests`.
    """

    steps: tuple[Percent, ...] = (1, 5, 25, 50, 100)
    seconds: float = Field(300, gt=0)
    requests: int = Field(100, gt=0)

    @field_validator("steps")
    @classmethod
    def _increasing(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if not steps or list(steps) != sorted(set(steps)):
            raise ValueError("the steps must go up")
        return steps


class RewardBounds(StrictModel):
    """The lowest and the highest reward that feedback may give."""

    low: FiniteFloat = 0.0
    high: FiniteFloat = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self

    def __str__(self) -> str:
        """Return the interval, as in "[0, 1]"."""
        return f"[{self.low:g}, {self.high:g}]"


class Bandit(StrictModel):
    """Thompson sampling of the weights every `seconds`, each from `least` to `most` percent."""

    least: Percent = 5
    most: Percent = 95
    seconds: float = Field(300, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least >= self.most:
            raise ValueError("least must be below most")
        return self


class Experiment(StrictModel):
    """Traffic to the endpoint `name`, split over variants by the hash of a request header.

    `seed` decides which users get which variant, and never changes while the experiment runs. Where the header is
    missing, the request's id takes its place in the split, and the client's address is the user in the statistics.
    `control` is the variant that the others are compared with, and that responds where they fail. Without bounds of the
    `reward` (None) the intervals of its means are asymptotic.
    """

    name: str
    variants: tuple[Variant, ...] = Field(min_length=2)
    control: str
    seed: int = Field(0, ge=0, lt=2**63)
    key_header: str = "X-User-Id"
    mirror: Mirror | None = None
    reward: RewardBounds | None = RewardBounds()
    guard: Guard | None = None
    ramp: Ramp | None = None
    bandit: Bandit | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [variant.name for variant in self.variants]
        if not NAME_PATTERN.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} must be letters, digits, '_', '-' and '.'")
        if not HEADER_PATTERN.fullmatch(self.key_header):
            raise ValueError(f"key_header: {self.key_header!r} is no header's name")
        if duplicates := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"variants: {', '.join(duplicates)} is there twice")
        if self.control not in names:
            raise ValueError(f"control: {self.control} is none of the variants {', '.join(names)}")
        total = sum(variant.weight for variant in self.variants)
        if abs(total - TOTAL_PERCENT) > RESOLUTION / 2:
            raise ValueError(f"variants: the weights add up to {total:g}, not to 100")
        if self.ramp and not self.guard:
            raise ValueError("ramp: it goes on while the guard is content, so it needs a guard")
        if self.ramp and self.bandit:
            raise ValueError("ramp, bandit: only one of them can move the weights")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The weights in percent by variant, in order."""
        return {variant.name: variant.weight for variant in self.variants}

    def variant(self, name: str) -> Variant:
        """Return the variant of that name; raise ExperimentError if there is none."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(self.weights)
        raise ExperimentError(f"{self.name}: {name} is none of its variants: {known}")

    def with_fields(self, **fields: Any) -> Self:
        """Return a copy with these fields, validated again; raise ExperimentError."""
        return parse(type(self), {**self.model_dump(), **fields}, self.name)

    def with_weights(self, weights: dict[str, float]) -> Self:
        """Return a copy with these weights (percent), 0 for variants not named; raise ExperimentError."""
        for name in weights:
            self.variant(name)
        variants = [{**variant.model_dump(), "weight": weights.get(variant.name, 0)} for variant in self.variants]
        return self.with_fields(variants=variants)


def parse(kind: type[ModelT], content: Any, where: str) -> ModelT:
    """Return the validated model; `where` begins each line of a message.

    Raises ExperimentError with a line for each error, each naming the field.

    >>> parse(Mirror, {"to": "resnet18@2.0", "percent": 10}, "digits")
    Mirror(to='resnet18@2.0', percent=10.0)
    """
    try:
        return kind.model_validate(content)
    except ValidationError as exc:
        lines = []
        for problem in exc.errors():
            field = ".".join(map(str, problem["loc"]))
            lines.append(f"{where}: {field + ': ' if field else ''}{problem['msg'].removeprefix('Value error, ')}")
        raise ExperimentError("\n".join(lines)) from exc


def load(file: Path) -> dict[str, Experiment]:
    """Return the experiments of a YAML file by name; raise ExperimentError with a line for each error."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as exc:
        raise ExperimentError(f"{file}: {exc}") from exc
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise ExperimentError(f"{file}: it must be a mapping from names to experiments")
    experiments, errors = {}, []
    for name, entry in content.items():
        try:
            experiments[str(name)] = parse(Experiment, {"name": str(name), **entry}, str(name))
        except ExperimentError as exc:
            errors.append(str(exc))
    if errors:
        raise ExperimentError("\n".join(errors))
    return experiments
