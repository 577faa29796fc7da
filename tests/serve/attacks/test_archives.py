"""Attacks on the way of an archive into a worker: only verified bytes are ever served.

The attacker holds the management token, or writes into the store; the archive `evil` is not signed by this host.
"""

import functools
import http.server
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from marina.packaging.verify import signature_of
from marina.serving import supervisor
from tests.serve.support.bundle import Bundle, dummy, eventually

pytestmark = pytest.mark.serve


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of somebody else, in a folder beside the store; `evil` unpacked lies beside it."""
    folder = tmp_path_factory.mktemp("e")
    archive = dummy(folder, folder / "keys", "evil")
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder / "evil")
    return archive


@pytest.fixture(scope="module")
def bundle(instance: Bundle, evil: Path) -> Bundle:
    instance.pack("good")
    (instance.settings.store / "evil-1.0.mar").write_bytes(evil.read_bytes())
    instance.run("serve")  # evil is refused
    eventually(lambda: instance.http.post("/predictions/good", json={}).status_code == 200, "good is served")
    return instance


@pytest.fixture(scope="module")
def web(evil: Path) -> Iterator[str]:
    """A web server with the archive."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(evil.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def manage(bundle: Bundle, method: str, path: str, query: str = "") -> httpx.Response:
    url = f"http://127.0.0.1:{bundle.settings.management_port}{path}?{query}"
    return httpx.request(method, url, headers=bundle.token("management"), timeout=60, trust_env=False)


@pytest.mark.parametrize(
    "url",
    [
        "file://{store}/%2e%2e/{up}/evil-1.0.mar",
        "file://{store}/%252e%252e/{up}/evil-1.0.mar",
        "file://{store}/../{up}/evil-1.0.mar",
        "file://{verified}/%2e%2e/evil-1.0.mar",
        "file://{folder}/evil-1.0.mar",
        "file://{store}/evil-1.0.mar",
        "FILE://{folder}/evil-1.0.mar",
        "fil://{folder}/evil-1.0.mar",
        "{web}/evil-1.0.mar",
        "{folder}/evil-1.0.mar",
        "{folder}/evil",
        "{folder}/evil/",
        "{store}",
        "evil-1.0.mar",
        "../../store/evil-1.0.mar",
        "..",
        ".",
        "classes",
    ],
)
def test_nothing_but_verified_archives_can_be_registered(bundle: Bundle, evil: Path, web: str, url: str):
    store = bundle.settings.store
    up = "/".join([".."] * (len(store.parts) - 2)) + str(evil.parent)
    given = url.format(store=store, verified=bundle.settings.verified, folder=evil.parent, web=web, up=up)
    query = f"url={httpx.QueryParams(u=given)['u']}&initial_workers=1&synchronous=true"
    for path in ("/models", "/workflows"):
        assert manage(bundle, "POST", path, query).status_code >= 400
    assert {model["modelName"] for model in manage(bundle, "GET", "/models").json()["models"]} == {"good"}
    assert {path.name for path in bundle.settings.verified.iterdir()} == {"good-1.0.mar", "good-1.0.mar.sig"}


def test_the_holder_of_the_token_may_register_a_verified_archive_by_its_name(bundle: Bundle):
    response = manage(bundle, "POST", "/models", "url=good-1.0.mar")
    assert response.status_code == 409, response.text
    assert "already registered" in response.text


def test_an_archive_swapped_after_verification_is_never_served(bundle: Bundle, evil: Path):
    """Neither a worker that restarts nor a JVM that does serves what the store holds by then."""
    stored = bundle.settings.store / "good-1.0.mar"
    stored.write_bytes(evil.read_bytes())
    signature_of(stored).write_bytes(b"")
    (worker,) = bundle.worker_pids("good")
    psutil.Process(worker).kill()

    def served() -> bool:
        response = bundle.http.post("/predictions/good", json={})
        return response.status_code == 200 and response.json()["pid"] != worker

    eventually(served, "another worker serves the copy")
    java = supervisor.programs(bundle.settings)["torchserve"]["pid"]
    psutil.Process(java).send_signal(signal.SIGKILL)
    eventually(lambda: supervisor.programs(bundle.settings)["torchserve"]["pid"] not in {0, java}, "a new JVM")
    (worker,) = eventually(lambda: bundle.worker_pids("good") or None, "the model is registered again")
    eventually(lambda: bundle.control().json()["models"]["good"]["ready"], "the verified copy is served again")
    served_card = bundle.http.get("/v1/models/good").json()["versions"]["1.0"]
    assert served_card["name"] == "good"
