"""Records of measurements, a JSON line each, written at once: an interrupted run resumes from them."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One measurement. `kind` is closed, limit, server or offline; `load` is the concurrency, or 0."""

    round: int
    workload: str
    stack: str
    kind: str = "closed"
    load: int = 0


@dataclass
class Records:
    """The file and its content."""

    path: Path
    found: dict[Step, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any]) -> "Records":
        """Resume from the file if its settings are these; otherwise move it aside and begin a new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and json.loads(lines[0]) == settings:
            with path.open("a") as file:
                file.write("\n")  # the last line may be truncated
            return cls(path, dict(filter(None, map(_parsed, lines[1:]))))
        records = cls(path)
        if lines:
            records.close()
        path.write_text(json.dumps(settings) + "\n")
        return records

    def close(self) -> None:
        """Move the file aside, so that the next run measures everything again."""
        self.path.rename(self.path.with_suffix(f".{time.time_ns()}.jsonl"))

    def __contains__(self, step: Step) -> bool:
        return step in self.found

    def add(self, step: Step, **values: Any) -> None:
        """Add the values of a step; they are on disk when this returns."""
        self.found[step] = values
        with self.path.open("a") as file:
            file.write(json.dumps({**asdict(step), **values}) + "\n")

    def why_failed(self, workload: str, stack: str) -> str | None:
        """Return the reason why the stack could not be measured, None if there is none."""
        reasons = (
            values[FAILED]
            for step, values in self.found.items()
            if (step.workload, step.stack) == (workload, stack) and FAILED in values
        )
        return next(reasons, None)

    def by_round(self, workload: str, kind: str, load: int, value: str = "rate") -> dict[str, dict[int, float]]:
        """Return this value of every stack and round."""
        table: dict[str, dict[int, float]] = defaultdict(dict)
        for step, values in self.found.items():
            if (step.workload, step.kind, step.load) == (workload, kind, load) and value in values:
                table[step.stack][step.round] = values[value]
        return dict(table)


def _parsed(line: str) -> tuple[Step, dict[str, Any]] | None:
    """Parse a line; None if it is truncated."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return Step(**{name: values.pop(name) for name in Step.__dataclass_fields__}), values
