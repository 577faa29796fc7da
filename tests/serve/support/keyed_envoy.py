"""A real Envoy that needs access keys, in front of a server that responds with 200 to everything."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from marina.security.access_keys import AccessKey, SigningKey, new_key
from marina.security.key_registry import KeyRegistry
from marina.serving.envoy import bootstrap, gateway
from marina.settings import Settings
from tests.experiments.routing.envoy_instance import EnvoyInstance, temporary_envoy
from tests.serve.support.bundle import eventually


class KeyedEnvoy:
    """The Envoy, its registry and the tokens of its keys."""

    def __init__(self, envoy: EnvoyInstance) -> None:
        self.envoy, self.settings = envoy, envoy.settings
        self.signing = SigningKey(self.settings.keys)
        self.registry = KeyRegistry(self.settings)
        scheme = "https" if self.settings.cert else "http"
        self.url = f"{scheme}://127.0.0.1:{self.settings.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=False)

    def start(self) -> None:
        settings = self.settings
        self.publish()
        _send_everything_to(self.envoy.upstream.server_port, settings)
        bootstrap.render(settings)
        command = [gateway.binary(), "-c", bootstrap.bootstrap_file(settings), "--disable-hot-restart", "-l", "warning"]
        self.envoy.process = subprocess.Popen([*command, "--file-flush-interval-msec", "50"])
        eventually(self._is_ready, "Envoy responds")

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/ready").is_success
        except httpx.TransportError:
            return False

    def key(self, *scopes: str, seconds: int = 3600, rate: int | None = None, name: str = "alice") -> AccessKey:
        """Store a key, and let Envoy follow."""
        key = new_key(self.signing.public, name, scopes, seconds, rate, None, time.time())
        self.registry.add(key)
        self.publish()
        return key

    def publish(self) -> None:
        gateway.publish_keys(self.settings, self.registry.active())
        with _kept(self.settings.envoy / "cds.json"):
            gateway.publish(self.settings, self.envoy.route_states, "torchserve-token")

    def revoke(self, key: AccessKey) -> None:
        self.registry.revoke(key.id)
        self.publish()

    def bearer(self, key: AccessKey) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.signing.token(key)}"}

    def send(self, method: str, path: str, key: AccessKey | None = None, **headers: str) -> httpx.Response:
        content = b"{}" if method in {"POST", "PUT"} else None
        return self.http.request(
            method, path, content=content, headers={**(self.bearer(key) if key else {}), **headers}
        )

    def wait_until_known(self, key: AccessKey) -> None:
        eventually(lambda: self.send("GET", "/v1/models", key).status_code == 200, "Envoy has the key", 10)

    def wait_until_refused(self, key: AccessKey) -> None:
        eventually(lambda: self.send("GET", "/v1/models", key).status_code == 401, "Envoy refuses the key", 10)


@contextmanager
def _kept(file: Path) -> Iterator[None]:
    """Keep a file as it is, under Envoy's eyes: a watched file counts when it is renamed."""
    if not file.exists():
        yield
        return
    hidden = file.rename(file.with_suffix(".kept"))
    yield
    hidden.replace(file)


def _send_everything_to(port: int, settings: Settings) -> None:
    """Point the clusters of control and of TorchServe's metrics to one server."""
    file = settings.envoy / "cds.json"
    content = json.loads(file.read_text())
    for cluster in content["resources"]:
        if cluster["type"] == "STATIC":
            address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address
    file.write_text(json.dumps(content))


@contextmanager
def keyed_envoy(root: Path, route_states: dict | None = None, **more) -> Iterator[KeyedEnvoy]:
    with temporary_envoy(root, **{"access_keys": True, **more}) as envoy:
        envoy.route_states = route_states or envoy.route_states
        keyed = KeyedEnvoy(envoy)
        try:
            keyed.start()
            yield keyed
        finally:
            keyed.http.close()
            keyed.registry.close()
