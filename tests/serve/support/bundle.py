"""A bundle (TorchServe, Envoy, control) on free ports and in its own folder, and small signed archives for it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from marina.cli import bundle_client
from marina.packaging.sign import sign
from marina.serving import supervisor
from marina.serving.torchserve.client import Keys
from marina.settings import Settings

HERE = Path(__file__).parent
CONFIG = """\
maxBatchDelay: {delay}
batchSize: {batch}
responseTimeout: 20
startupTimeout: 60
maxWorkers: 4
minWorkers: {workers}
"""


def dummy(
    store: Path,
    keys: Path,
    name: str,
    version: str = "1.0",
    *,
    batch: int = 1,
    delay: int = 1,
    workers: int = 1,
    broken: bool = False,
    errors: float = 0,
    seconds: float = 0,
    handler: str = "dummy_handler.py",
) -> Path:
    """Pack and sign a dummy archive. It fails at random with probability `errors`, and takes `seconds` a batch.

    `handler` is another file of this folder.
    """
    folder = store / f".{name}-{version}"
    folder.mkdir(parents=True)
    files = {
        "card.json": json.dumps(
            {"name": name, "example": {"file": "example.json", "content_type": "application/json"}}
        ),
        "example.json": '{"canary": true}',
        "behaviour.json": json.dumps({"errors": errors, "seconds": seconds}),
        "model-config.yaml": CONFIG.format(batch=batch, delay=delay, workers=workers),
        **({"broken.txt": ""} if broken else {}),
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    extra = ",".join(str(folder / file) for file in files if not file.endswith(".yaml"))
    subprocess.run(
        [
            *(Path(sys.executable).with_name("torch-model-archiver"), "--model-name", name, "--version", version),
            *("--handler", HERE / handler, "--config-file", folder / "model-config.yaml"),
            *("--extra-files", extra, "--export-path", folder),
        ],
        check=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    archive = (folder / f"{name}.mar").rename(store / f"{name}-{version}.mar")
    sign(archive, keys)
    return archive


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Bundle:
    """One instance: its settings, its command line, its public port."""

    settings: Settings
    http: httpx.Client = field(init=False)

    def __post_init__(self):
        self.http = httpx.Client(base_url=self.settings.url, timeout=30, verify=False, trust_env=False)

    @property
    def keys(self) -> Path:
        return self.settings.var / "keys"

    def pack(self, name: str, version: str = "1.0", **kind) -> Path:
        return dummy(self.settings.store, self.keys, name, version, **kind)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`marina ...` against this instance."""
        return subprocess.run(
            [sys.executable, "-m", "marina", *map(str, command)],
            env={**os.environ, **self.settings.environment(), "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    def do(self, *command: str) -> str:
        result = self.run(*command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def control(self, path: str = "/status") -> httpx.Response:
        with bundle_client.control(self.settings) as client:
            return client.get(path)

    def is_ready(self) -> bool:
        """Check that control responds and reports everything as ready."""
        try:
            return self.control().status_code == 200
        except httpx.TransportError:
            return False

    def experiments(self, method: str, path: str = "", **body) -> httpx.Response:
        """Send a request to /v1/experiments, with the management token and this JSON body."""
        url = f"{self.settings.url}/v1/experiments{path}"
        return httpx.request(
            method, url, json=body or None, headers=self.token("management"), timeout=60, trust_env=False
        )

    def worker_pids(self, name: str, version: str = "1.0") -> list[int]:
        versions = self.control().json()["models"][name]["versions"]
        return [worker["pid"] for worker in versions[version]["workers"]]

    def processes(self) -> list[psutil.Process]:
        """Return the processes whose command line or environment names this instance's folder."""
        mark = str(self.settings.var)
        return [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if mark in " ".join(process.info["cmdline"] or [])
            or (process.info["environ"] or {}).get("MARINA_VAR") == mark
        ]

    def token(self, kind: str = "inference") -> dict[str, str]:
        return {"Authorization": f"Bearer {getattr(Keys.read(self.settings), kind)}"}


def eventually(check: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Poll `check` and return its first true value; fail the test after `seconds`, a limit that is no measurement."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


@contextmanager
def bundle_in(root: Path, store: Path) -> Iterator[Bundle]:
    """Yield a bundle with its `var` under `root`, not started; if the test starts it, it is stopped at the end."""
    names = [name for name in Settings.model_fields if name == "port" or name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    bundle = Bundle(Settings(var=root / "var", store=store, **ports))
    try:
        yield bundle
    finally:
        bundle.http.close()
        supervisor.stop(bundle.settings)
