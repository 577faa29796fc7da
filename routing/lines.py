"""A line of Envoy's access log of the experiments, checked, as a row of the database."""

from hashlib import blake2b
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints, ValidationError

RequestId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,256}$")]  # PostgreSQL keeps no NUL


class Prediction(BaseModel):
    """What of an answer is kept: a class, or a number."""

    label: Text | None = None
    probability: FiniteFloat | None = None
    prediction: FiniteFloat | None = None


class Line(BaseModel):
    """A line of the log. `mirror` names the variant that got a copy of the request: the line is the copy's then.

    The reply names `variant` and `source`: there are none where nobody replied.
    """

    request_id: RequestId
    time: FiniteFloat
    experiment: Text
    assigned: Text
    variant: Text | None
    source: Literal["split", "fallback", "mirror"] | None
    status: Annotated[int, Field(ge=0, le=999)]
    microseconds: Annotated[int, Field(ge=0)] | None
    key: str | None
    prediction: str | None
    mirror: Text | None

    def exposure(self) -> dict[str, Any]:
        unit = unit_of(self.experiment, self.key) if self.key else f"request:{self.request_id}"
        chosen = {"assigned": self.assigned, "variant": self.variant or self.assigned, "source": self.source or "split"}
        return {**self._common(), **chosen, "unit": unit}

    def mirrored(self) -> dict[str, Any]:
        return {**self._common(), "variant": self.variant or self.mirror}

    def _common(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "experiment": self.experiment,
            "at": self.time,
            "status": self.status,
            "seconds": None if self.microseconds is None else self.microseconds / 1e6,
            "prediction": predicted(self.prediction),
        }


def unit_of(experiment: str, key: str) -> str:
    """Whom a key stands for, without the key. Whoever can guess the key can still find its rows."""
    salt = blake2b(experiment.encode(), digest_size=16).digest()
    return blake2b(key.encode(), digest_size=16, key=salt).hexdigest()


def predicted(encoded: str | None) -> dict[str, Any] | None:
    """None for a prediction that can't be read: the request counts all the same."""
    try:
        return Prediction.model_validate_json(unquote(encoded or "")).model_dump(exclude_none=True) or None
    except ValidationError:
        return None
