"""The states that Envoy is to follow: those of the database, and of a file beside it while it does not answer."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Engine

from routing import history, render
from routing.history import State
from serving.files import write_atomic
from serving.overlay import Overlay
from serving.settings import Settings
from serving.views import Models

STATES = TypeAdapter(dict[str, State])


def file(settings: Settings) -> Path:
    """Outlives `make stop`: users keep their variants."""
    return settings.var / "experiments.json"


class Live:
    """Routing must not depend on the database: what was last read of it lies in a file."""

    def __init__(self, settings: Settings) -> None:
        self._file = file(settings)
        kept = self._file.read_bytes() if self._file.exists() else b"{}"
        self.states: Mapping[str, State] = STATES.validate_json(kept)

    @property
    def running(self) -> dict[str, State]:
        return {name: state for name, state in self.states.items() if state.running}

    def refresh(self, engine: Engine) -> None:
        """Read the database, where another node may have changed something."""
        self.take(history.current(engine))

    def take(self, states: Mapping[str, State]) -> None:
        if states != self.states:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, STATES.dump_json(dict(states), indent=1).decode())
            self.states = states

    def overlay(self, models: Models) -> Overlay:
        """For serving.fleet."""
        return render.overlay(self.states.values(), models)
