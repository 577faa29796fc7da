"""What the gateway must know of the models to route requests: no more than that."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class VersionView:
    """One version: the deadline in seconds, and if this machine does not serve it, the answer instead.

    `hold`: let each request wait for routes.HOLD_SECONDS, so that those before it can finish. `elsewhere`: the other
    nodes that serve it, as "host:port"; `several`: whether there are other nodes at all. `streams`: a reply may take as
    long as it likes, and the deadline is for each silence.
    """

    deadline: float
    closed: tuple[int, str] | None = None
    hold: bool = False
    elsewhere: frozenset[str] = frozenset()
    several: bool = False
    streams: bool = False

    @property
    def refusal(self) -> tuple[int, str] | None:
        """Status and message if no node serves it."""
        return None if self.elsewhere else self.closed


@dataclass(frozen=True)
class ModelView:
    """A model's versions and the one that answers requests which name none."""

    default: str
    versions: Mapping[str, VersionView] = field(default_factory=dict)


Models = Mapping[str, ModelView]


def version_of(models: Models, name: str, version: str) -> VersionView:
    """A version that nobody has heard of is a closed one."""
    model = models.get(name)
    missing = VersionView(0, (503, f"{name} {version} is not served"))
    return model.versions.get(version, missing) if model else missing
