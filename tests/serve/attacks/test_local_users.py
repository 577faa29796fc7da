"""Another user of the same machine gets what the public port returns to everybody, and nothing else."""

import multiprocessing
import os
import pwd
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from marina.serving.torchserve.client import Keys
from tests.serve.support.bundle import Bundle, bundle_in

pytestmark = [
    pytest.mark.serve,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PATHS = (
    "/",
    "/models",
    "/models/alpha",
    "/metrics",
    "/ping",
    "/predictions/alpha",
    "/stats",
    "/config_dump",
    "/status",
)
PATHS += ("/ready", "/v1/experiments", "/v1/models", "/logging", "/api-description")


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    """A running bundle whose folder other users can reach, unlike pytest's own."""
    root = Path(tempfile.mkdtemp(prefix="m"))
    root.chmod(0o755)
    (root / "store").mkdir()
    (root / "var").mkdir(mode=0o755)
    (root / "var" / "old").write_text("of an earlier version")
    (root / "var" / "old").chmod(0o644)
    with bundle_in(root, root / "store") as made:
        made.pack("alpha")
        made.do("serve")
        assert made.http.post("/predictions/alpha", json={}).status_code == 200
        yield made
    shutil.rmtree(root)


def as_nobody(attack: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """Return what a function returns in a child process of the user `nobody`."""
    user = pwd.getpwnam("nobody")
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def run() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        sending.send(attack(*arguments))

    child = context.Process(target=run)
    child.start()
    found: list[str] = receiving.recv() if receiving.poll(60) else ["the attack did not end"]
    child.join(10)
    return found


def opened(path: str) -> bool:
    """Check whether this user can list a folder, read a file, or connect to a socket."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISSOCK(mode):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
        elif stat.S_ISDIR(mode):
            list(Path(path).iterdir())
        else:
            Path(path).open("rb").close()
    except OSError:
        return False
    return True


def open_paths(paths: list[str]) -> list[str]:
    return [path for path in paths if opened(path)]


def requests() -> Iterator[tuple[str, str]]:
    for method in ("GET", "POST", "PUT", "DELETE"):
        for path in PATHS:
            yield method, path


def answered(ports: list[int]) -> list[str]:
    """Return the requests to these ports that were answered with success, with the response."""
    found = []
    with httpx.Client(timeout=5, trust_env=False) as client:
        for port in ports:
            for method, path in requests():
                try:
                    response = client.request(method, f"http://127.0.0.1:{port}{path}")
                except httpx.HTTPError:  # gRPC, which is not HTTP/1
                    break
                if response.status_code < 400:
                    found.append(f"{method} {path} {response.text}")
    return found


def listening(bundle: Bundle) -> set[int]:
    ours = {process.pid for process in bundle.processes()}
    ours |= {child.pid for pid in ours for child in psutil.Process(pid).children(recursive=True)}
    found = psutil.net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN and each.pid in ours}


def everything(folder: Path) -> list[str]:
    return [str(folder), *map(str, folder.rglob("*"))]


def test_nothing_of_var_is_anybody_elses(bundle: Bundle):
    paths = everything(bundle.settings.var) + everything(bundle.settings.sockets)
    assert len(paths) > 40
    loose = [path for path in paths if not Path(path).is_symlink() and os.lstat(path).st_mode & 0o077]
    assert loose == []


def test_tcp_ports_are_those_of_the_documentation(bundle: Bundle):
    assert listening(bundle) == set(bundle.settings.ports.values())


def test_no_secret_is_logged_or_on_a_command_line(bundle: Bundle):
    keys = Keys.read(bundle.settings)
    assert keys
    secrets = (keys.inference, keys.management)
    texts = {str(file): file.read_text(errors="replace") for file in bundle.settings.logs.iterdir()}
    texts |= {f"process {it.pid}": " ".join(it.cmdline()) for it in bundle.processes()}
    assert len(texts) > 10
    assert [name for name, text in texts.items() if any(secret in text for secret in secrets)] == []


def test_the_public_port_returns_no_processes_and_no_load(bundle: Bundle):
    assert bundle.http.get("/status").status_code == 404
    assert bundle.http.get("/ready").json() == {
        "ready": True,
        "warnings": [],
        "models": {"alpha": {"ready": True, "default": "1.0", "versions": {"1.0": {"ready": True, "state": "ready"}}}},
    }
    for path in ("/ready", "/v1/models", "/docs", "/openapi.json"):
        response = bundle.http.get(path)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert socket.gethostname() not in response.text
        assert str(bundle.settings.var) not in response.text


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes the user nobody: needs root")
def test_the_user_nobody_reaches_the_public_port_alone(bundle: Bundle):
    pids = [process.pid for process in bundle.processes()]
    private = [f"/proc/{pid}/{name}" for pid in pids for name in ("environ", "mem", "maps", "fd", "cwd")]
    inside = everything(bundle.settings.var) + everything(bundle.settings.sockets)
    assert as_nobody(open_paths, [str(bundle.settings.store)]) == [str(bundle.settings.store)]  # the attack can succeed
    assert as_nobody(open_paths, inside + private) == []
    ports = sorted(listening(bundle) - {bundle.settings.port})
    assert as_nobody(answered, [bundle.settings.port]) != []
    described = as_nobody(answered, ports)
    # TorchServe's own description of its API, the same in every installation.
    assert {line.split()[1] for line in described} <= {"/api-description"}
    assert not any("alpha" in line for line in described)
    assert bundle.is_ready()
