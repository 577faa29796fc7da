"""The client of TorchServe's management API registers the versions of a model one after the other."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from marina.errors import TorchServeError
from marina.serving.torchserve.client import Keys, TorchServe
from marina.settings import Settings


class RacyTorchServe(BaseHTTPRequestHandler):
    """Server with TorchServe's race: it reads a model's versions, waits, and writes them back.

    Of two first versions registered concurrently one is lost. Model alpha waits until beta has come.
    """

    known: dict[str, set[str]]
    beta: threading.Event

    def do_POST(self):
        name, _, version = self.path.partition("url=")[2].partition(".mar")[0].partition("-")
        versions = self.known.get(name, set())
        if name == "beta":
            self.beta.set()
        elif self.beta.wait(30):
            time.sleep(0.1)
        status = 409 if version in versions else 400 if version == "refused" else 202
        versions.add(version)
        self.known.setdefault(name, versions)
        body = b"" if status == 202 else b'{"message": "it is refused"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    RacyTorchServe.known, RacyTorchServe.beta = {}, threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), RacyTorchServe) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def register(port: int, archives: list[tuple[str, str]]) -> None:
    async with TorchServe(Settings(management_port=port), Keys(inference="a", management="b")) as torchserve:
        await asyncio.gather(*(torchserve.register(name, f"{name}-{version}.mar", 1) for name, version in archives))


def test_versions_of_one_model_are_registered_one_after_the_other(server: ThreadingHTTPServer):
    archives = [("alpha", "1.9"), ("alpha", "1.10"), ("alpha", "2.0"), ("beta", "1.0")]
    asyncio.run(register(server.server_port, archives))
    # The client's timeout would have ended an alpha that waits for a beta that waits for alpha.
    assert RacyTorchServe.known == {"alpha": {"1.9", "1.10", "2.0"}, "beta": {"1.0"}}


def test_a_second_registration_is_not_an_error(server: ThreadingHTTPServer):
    """A poll that is older than the registration leads to a second one."""
    asyncio.run(register(server.server_port, [("beta", "1.0"), ("beta", "1.0")]))
    assert RacyTorchServe.known == {"beta": {"1.0"}}
    with pytest.raises(TorchServeError, match=r"it is refused \(400\)"):
        asyncio.run(register(server.server_port, [("beta", "refused")]))
