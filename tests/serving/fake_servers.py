"""TorchServe and Envoy for a reconciler, in this process: a handler for the `network` fixture."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

import httpx

from marina.serving.envoy import gateway
from marina.settings import Settings


class FakeServers:
    """`registered` is what TorchServe holds, by model and version; `calls` are its management calls, in order."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registered: dict[str, dict[str, dict[str, Any]]] = {}
        self.defaults: dict[str, str] = {}
        self.calls: list[str] = []
        self.canaries: list[str] = []
        self.in_flight: list[int] = []  # counts for the next requests for statistics
        self.up, self.envoy = True, True
        self.pids: Callable[[int], int] = lambda index: os.getpid()
        self.status = "READY"
        self.canary = httpx.Response(200, json={"x": 1})
        self.refusal: httpx.Response | None = None  # the response to every change

    def start(self, key: str = "1") -> None:
        """TorchServe comes up: it writes its keys, and has no model."""
        self.registered, self.defaults = {}, {}
        keys = {"inference": {"key": f"i{key}"}, "management": {"key": f"m{key}"}}
        self.settings.key_file.write_text(json.dumps(keys))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(gateway.ADMIN):
            return self._envoy(request)
        if not self.up:
            raise httpx.ConnectError("refused")
        if request.url.port == self.settings.inference_port:
            return self._inference(request)
        if request.url.port == self.settings.management_port:
            return self._management(request)
        raise AssertionError(f"no server listens at {request.url}")

    def _envoy(self, request: httpx.Request) -> httpx.Response:
        if not self.envoy:
            raise httpx.ConnectError("refused")
        if "upstream_rq_active" in request.url.params["filter"]:
            count = self.in_flight.pop(0) if self.in_flight else 0
            self.calls.append(f"in flight {count}")
            return httpx.Response(200, text=f"cluster.x.upstream_rq_active: {count}\n")
        names = {"cds": "cluster_manager.cds", "rds": "http.public.rds.marina", "inner": "http.inner.rds.inner"}
        lines = ["listener_manager.workers_started: 1"]
        for file, name in names.items():
            version = json.loads((self.settings.envoy / f"{file}.json").read_text())["version_info"]
            lines.append(f'{name}.version_text: "{version}"')
        return httpx.Response(200, text="\n".join(lines))

    def _inference(self, request: httpx.Request) -> httpx.Response:
        if request.method == "OPTIONS":
            return httpx.Response(200)
        self.canaries.append(f"{request.url.path} {request.content.decode()}")
        return self.canary

    def _management(self, request: httpx.Request) -> httpx.Response:
        _, _, name, *rest = [*request.url.path.split("/"), ""]
        if request.method == "GET":
            versions = self.registered.get(name)
            return httpx.Response(200, json=list(versions.values())) if versions else httpx.Response(404)
        parameters = dict(request.url.params)
        self.calls.append(" ".join([request.method, request.url.path, *map("=".join, sorted(parameters.items()))]))
        if self.refusal:
            return self.refusal
        if request.method == "POST":
            match = re.fullmatch(r"(.*)-(.*)\.mar", parameters["url"])
            assert match
            self.registered.setdefault(match[1], {})[match[2]] = self.described(
                match[2], int(parameters["initial_workers"])
            )
        elif request.method == "DELETE":
            del self.registered[name][rest[0]]
        elif rest[1] == "set-default":
            self.defaults[name] = rest[0]
        else:
            self.registered[name][rest[0]] = self.described(rest[0], int(parameters["min_worker"]))
        return httpx.Response(200)

    def described(self, version: str, workers: int) -> dict[str, Any]:
        found = [{"id": str(9000 + index), "status": self.status, "pid": self.pids(index)} for index in range(workers)]
        return {
            "modelVersion": version,
            "minWorkers": workers,
            "maxWorkers": workers,
            "responseTimeout": 20,
            "startupTimeout": 60,
            "workers": found,
        }
