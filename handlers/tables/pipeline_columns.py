"""Columns of an imported pipeline, which reads raw values: numbers as they are, texts as their UTF-8 bytes.

Training is unknown, and so are ranges, categories and formats; the pipeline itself standardizes and encodes.
"""

import math
from dataclasses import dataclass
from typing import Any

from handlers.tables.table_columns import Feature, ValueRefused, shown

TEXT_BYTES = 128  # of a text
LARGEST = 1e30  # beyond it, sums of float32 overflow
LARGEST_WHOLE = 2**24  # up to which float32 has every whole number


@dataclass(frozen=True)
class RawNumber:
    """Finite numbers. Where the pipeline imputes, a missing one is NaN, as scikit-learn has it."""

    name: str
    missing: bool
    whole: bool
    kind: str = "raw_number"

    @property
    def features(self) -> list[list[Feature]]:
        """The number itself."""
        return [[Feature()]]

    def encode(self, value: Any) -> list[float]:
        """Return the number. Raises ValueRefused if it is none, or too large."""
        if value is None:
            return [math.nan]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueRefused(f"not a number: {shown(value)}")
        limit = LARGEST_WHOLE if self.whole else LARGEST
        if not -limit <= value <= limit:
            raise ValueRefused("not a finite number in a range that makes sense here")
        if self.whole and value != int(value):
            raise ValueRefused(f"not a whole number: {shown(value)}")
        return [float(value)]

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "integer" if self.whole else "number"}


@dataclass(frozen=True)
class RawText:
    """Texts of up to 128 bytes in UTF-8, padded by zeros."""

    name: str
    missing: bool = False
    kind: str = "raw_text"

    @property
    def features(self) -> list[list[Feature]]:
        """The bytes."""
        return [[Feature()]] * TEXT_BYTES

    def encode(self, value: Any) -> list[float]:
        """Return the bytes. Raises ValueRefused if it is no text, or too long."""
        if not isinstance(value, str):
            raise ValueRefused(f"not a text: {shown(value)}")
        content = value.encode(errors="replace")
        if len(content) > TEXT_BYTES or 0 in content:
            raise ValueRefused(f"not a text of up to {TEXT_BYTES} bytes")
        return [*map(float, content), *[0.0] * (TEXT_BYTES - len(content))]

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        return {"type": "string", "maxLength": TEXT_BYTES}
