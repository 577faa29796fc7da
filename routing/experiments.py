"""What an experiment is, and how routing/experiments.yaml says it."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
HEADER = re.compile(r"[A-Za-z0-9-]+")
WHOLE = 100.0  # percent
RESOLUTION = 0.01  # percent: one bucket of 10,000

Model = TypeVar("Model", bound=BaseModel)
Percent = Annotated[float, Field(ge=0, le=WHOLE)]


class ExperimentError(Exception):
    """What is wrong, and where: one sentence a fault."""


class Strict(BaseModel):
    """Frozen, and a misspelt field is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(Strict):
    """One version of a model, and its share of the traffic in percent."""

    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    weight: Percent

    @field_validator("version", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """YAML reads 1.0 as a number."""
        return str(value) if isinstance(value, int | float) else value

    @property
    def name(self) -> str:
        return f"{self.model}@{self.version}"


class Mirror(Strict):
    """A copy of `percent` of the live requests goes to the variant `to`; its replies are compared, never sent."""

    to: str
    percent: Percent


class Guard(Strict):
    """When a variant goes back to 0 by itself: its error rate is above the control's by more than `errors` (a
    fraction), or its median or p99 latency above the control's by more than the factor `latency`."""

    errors: float = Field(0.01, ge=0, lt=1)
    latency: float = Field(1.25, gt=1)


class Ramp(Strict):
    """The share of the last variant goes up through `steps` (percent), each held for at least `seconds` and `requests`
    of its own, while the guard is content."""

    steps: tuple[Percent, ...] = (1, 5, 25, 50, 100)
    seconds: float = Field(300, gt=0)
    requests: int = Field(100, gt=0)

    @field_validator("steps")
    @classmethod
    def _upwards(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if not steps or list(steps) != sorted(set(steps)):
            raise ValueError("the steps must go up")
        return steps


class Bandit(Strict):
    """Thompson sampling moves the weights every `seconds`, each within `least` and `most` percent."""

    least: Percent = 5
    most: Percent = 95
    seconds: float = Field(300, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least >= self.most:
            raise ValueError("least must be below most")
        return self


class Experiment(Strict):
    """Traffic to the endpoint `name`, split over variants by the hash of a request header.

    `seed` decides who gets which variant, and never changes while the experiment runs. Where the header is missing, the
    request's id takes its place. `control` is the variant that the others are compared with, and fall back to.
    """

    name: str
    variants: tuple[Variant, ...] = Field(min_length=2)
    control: str
    seed: int = Field(0, ge=0, lt=2**63)
    key_header: str = "X-User-Id"
    mirror: Mirror | None = None
    guard: Guard | None = None
    ramp: Ramp | None = None
    bandit: Bandit | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [variant.name for variant in self.variants]
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} must be letters, digits, '_', '-' and '.'")
        if not HEADER.fullmatch(self.key_header):
            raise ValueError(f"key_header: {self.key_header!r} is no header's name")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"variants: {', '.join(twice)} is there twice")
        if self.control not in names:
            raise ValueError(f"control: {self.control} is none of the variants {', '.join(names)}")
        total = sum(variant.weight for variant in self.variants)
        if abs(total - WHOLE) > RESOLUTION / 2:
            raise ValueError(f"variants: the weights add up to {total:g}, not to 100")
        if self.ramp and not self.guard:
            raise ValueError("ramp: it goes on while the guard is content, so it needs a guard")
        if self.ramp and self.bandit:
            raise ValueError("ramp, bandit: only one of them can move the weights")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Percent by variant, in order."""
        return {variant.name: variant.weight for variant in self.variants}

    def variant(self, name: str) -> Variant:
        """Raises ExperimentError for an unknown name."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(self.weights)
        raise ExperimentError(f"{self.name}: {name} is none of its variants: {known}")

    def changed(self, **fields: Any) -> Self:
        """Another experiment, checked anew; raises ExperimentError."""
        return parsed(type(self), {**self.model_dump(), **fields}, self.name)

    def weighed(self, weights: dict[str, float]) -> Self:
        """With these weights (percent), 0 for the variants not named; raises ExperimentError."""
        for name in weights:
            self.variant(name)
        variants = [{**variant.model_dump(), "weight": weights.get(variant.name, 0)} for variant in self.variants]
        return self.changed(variants=variants)


def parsed(kind: type[Model], content: Any, where: str) -> Model:
    """Raises ExperimentError with a line for each fault, each naming the field."""
    try:
        return kind.model_validate(content)
    except ValidationError as fault:
        lines = []
        for problem in fault.errors():
            field = ".".join(map(str, problem["loc"]))
            lines.append(f"{where}: {field + ': ' if field else ''}{problem['msg'].removeprefix('Value error, ')}")
        raise ExperimentError("\n".join(lines)) from fault


def load(file: Path) -> dict[str, Experiment]:
    """The experiments of a YAML file by name; raises ExperimentError with a line for each fault."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as fault:
        raise ExperimentError(f"{file}: {fault}") from fault
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise ExperimentError(f"{file}: it must be a mapping from names to experiments")
    found, faults = {}, []
    for name, entry in content.items():
        try:
            found[str(name)] = parsed(Experiment, {"name": str(name), **entry}, str(name))
        except ExperimentError as fault:
            faults.append(str(fault))
    if faults:
        raise ExperimentError("\n".join(faults))
    return found
