"""A real Envoy in front of a server that responds like TorchServe, but has no workers."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from marina.experiments.history import State
from marina.experiments.routing.matcher_tree import route_extension
from marina.experiments.spec import Experiment
from marina.experiments.split import new_split
from marina.serving.envoy import bootstrap, gateway
from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState
from marina.settings import Settings
from tests.serve.support.bundle import eventually, free_ports

CLIENTS = 4
A, B = "a@1.0", "b@2.0"
KEY = "6b" * 32  # of feedback tokens


def experiment(name: str = "digits", **fields) -> Experiment:
    """Control a@1.0 at 90 %, b@2.0 at 10 %."""
    variants = [{"model": "a", "version": "1.0", "weight": 90}, {"model": "b", "version": "2.0", "weight": 10}]
    return Experiment.model_validate({"name": name, "variants": variants, "control": "a@1.0", "seed": 7, **fields})


def state(it: Experiment, **fields) -> State:
    return State(experiment=it, split=new_split(it.weights), **fields)


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def variant(self) -> str:
        return self.headers["x-variant"]

    @property
    def source(self) -> str:
        return self.headers["x-variant-source"]


class Upstream(ThreadingHTTPServer):
    """Responds with the request's path. `statuses`, `delays` (seconds) and `counts` are by version: "b/2.0"."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.liveness = 200
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Upstream

    def do_OPTIONS(self) -> None:
        self._respond(self.server.liveness, {})

    def do_POST(self) -> None:
        version = "/".join(self.path.partition("?")[0].split("/")[2:])
        length = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        self.server.counts[version] = self.server.counts.get(version, 0) + 1
        time.sleep(self.server.delays.get(version, 0))
        content = {"path": self.path, "bytes": length, "headers": dict(self.headers)}
        self._respond(self.server.statuses.get(version, 200), content)

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - their names there

    def _respond(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-prediction", "%7B%22label%22%3A%20%227%22%7D")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args) -> None:  # noqa: A002 - its name there
        """Log nothing."""


@dataclass
class EnvoyInstance:
    """One Envoy. `route_states` are what the reconciler would publish of the models."""

    settings: Settings
    upstream: Upstream
    route_states: dict[str, ModelRouteState] = field(
        default_factory=lambda: {
            "a": ModelRouteState("1.0", {"1.0": VersionRouteState(20)}),
            "b": ModelRouteState("2.0", {"2.0": VersionRouteState(20)}),
        }
    )
    process: subprocess.Popen[bytes] | None = None

    def admin(self, path: str, **parameters: str) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.settings.admin_socket))
        with httpx.Client(transport=transport, base_url=gateway.ADMIN, trust_env=False) as client:
            return client.get(path, params=parameters)

    def publish(self, *states: State) -> None:
        """Publish routes as control does, and wait until Envoy applies them."""
        versions = gateway.publish(
            self.settings, self.route_states, "token", route_extension(states, self.route_states, KEY)
        )
        if self.process is None:
            bootstrap.render(self.settings)
            command = [
                gateway.binary(),
                "-c",
                bootstrap.bootstrap_file(self.settings),
                "--disable-hot-restart",
                *bootstrap.LOG_OPTIONS,
            ]
            self.process = subprocess.Popen([*command, "--file-flush-interval-msec", "50"])

        def applied() -> bool:
            try:
                stats = self.admin("/stats", filter="version_text").text
            except httpx.TransportError:
                return False
            return all(f'"{versions[name]}"' in stats for name in ("cds", "rds", "inner"))

        eventually(applied, "Envoy takes the routes")
        eventually(lambda: self.admin("/ready").is_success, "Envoy is ready")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def send(
        self,
        requests: Iterable[dict[str, str]],
        path: str = "/predictions/digits",
        body: bytes = b"{}",
        timed: list[float] | None = None,
    ) -> list[Reply]:
        """Return a response for each of these headers, in order; append the seconds that each took to `timed`."""
        requests = list(requests)

        def some(part: list[dict[str, str]]) -> list[Reply]:
            connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=60)
            responses = []
            for headers in part:
                start = time.perf_counter()
                connection.request("POST", path, body, {"content-type": "application/json", **headers})
                response = connection.getresponse()
                responses.append(Reply(response.status, response.headers, response.read()))
                if timed is not None:
                    timed.append(time.perf_counter() - start)
            connection.close()
            return responses

        size = -(-len(requests) // CLIENTS)
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            return [response for responses in pool.map(some, parts) for response in responses]

    def users(self, count: int) -> list[Reply]:
        return self.send({"x-user-id": f"user-{number}"} for number in range(count))

    def exposures(self, count: int) -> list[dict]:
        """Return the lines that Envoy logged, once there are so many."""
        file = self.settings.var / "exposures" / "exposures.jsonl"
        lines = eventually(
            lambda: (lines := file.read_text().splitlines() if file.exists() else []) and len(lines) >= count and lines,
            f"{count} exposures",
        )
        return [json.loads(line) for line in lines]


@contextmanager
def temporary_envoy(root: Path, **fields) -> Iterator[EnvoyInstance]:
    upstream = Upstream()
    names = [name for name in Settings.model_fields if name == "port" or name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True)) | {"inference_port": upstream.server_port}
    settings = Settings(var=root / "var", store=root / "store", **{**ports, **fields})
    settings.make_folders()
    envoy = EnvoyInstance(settings, upstream)
    try:
        yield envoy
    finally:
        envoy.stop()
        upstream.shutdown()
        upstream.server_close()
