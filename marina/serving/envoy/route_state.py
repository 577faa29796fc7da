"""State that Envoy's routes and clusters are made of: models, their versions, upstreams and route extensions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from marina.serving.envoy.config import Json


@dataclass(frozen=True)
class VersionRouteState:
    """One version: its deadline in seconds and, if this node does not serve it, the response instead.

    `closed`: status and message for requests while this node does not serve the version. `hold`: delay each request by
    routes.HOLD_SECONDS, so that earlier requests can finish. `ready_peers`: the other nodes that serve it, as
    "host:port"; `has_peers`: whether there are other nodes at all. `streams`: responses may take any time, and the
    deadline applies to each pause in them. `has_card`: the archive's handler reads forms. A foreign one has no card; it
    `accepts_forms` if its owner wants TorchServe to parse them.
    """

    deadline: float
    closed: tuple[int, str] | None = None
    hold: bool = False
    ready_peers: frozenset[str] = frozenset()
    has_peers: bool = False
    streams: bool = False
    has_card: bool = True
    accepts_forms: bool = False

    @property
    def refusal(self) -> tuple[int, str] | None:
        """Status and message if no node serves the version."""
        return None if self.ready_peers else self.closed


@dataclass(frozen=True)
class ModelRouteState:
    """A model's versions, and the default: the one that serves requests which name no version."""

    default: str
    versions: Mapping[str, VersionRouteState] = field(default_factory=dict)


Models = Mapping[str, ModelRouteState]


def version_state(models: Models, name: str, version: str) -> VersionRouteState:
    """Return the state of one version; an unknown version is a closed one.

    >>> version_state({}, "resnet18", "1.0").refusal
    (503, 'resnet18 1.0 is not served')
    """
    model = models.get(name)
    missing = VersionRouteState(0, (503, f"{name} {version} is not served"))
    return model.versions.get(version, missing) if model else missing


@dataclass(frozen=True)
class Upstream:
    """One version's workers on every node, as an Envoy cluster with statistics of its own.

    `name` is the cluster's name, `stat` its name in statistics. With `backup` the inner listener takes requests that
    failed here, or for which no node is healthy.
    """

    name: str
    stat: str
    model: str
    version: str
    backup: bool = False


@dataclass(frozen=True)
class RouteExtension:
    """Routes that come before the models' own; experiments are built of them.

    `matchers` (envoy.type.matcher: FieldMatcher) are tried first. `inner` holds the routes of the inner listener, to
    which `mirrors`, and `upstreams` with a backup, send requests to be rewritten for another version.
    """

    matchers: Sequence[Json] = ()
    upstreams: Sequence[Upstream] = ()
    mirrors: Sequence[str] = ()
    inner: Sequence[Json] = ()


NO_EXTENSION = RouteExtension()
ExtendRoutes = Callable[[Models], RouteExtension]
