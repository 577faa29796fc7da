"""Our client of TorchServe's management API spares TorchServe what it can't bear."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.management import Keys, RefusedError, TorchServe
from serving.settings import Settings


class Forgetful(BaseHTTPRequestHandler):
    """As TorchServe does, it looks a model's name up, takes its time, and puts its versions in place if none came
    before: of two first versions at once, one is lost. Alpha takes until beta is there."""

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
        body = b"" if status == 202 else b'{"message": "said so"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Not to the test's output."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Forgetful.known, Forgetful.beta = {}, threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
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
    assert Forgetful.known == {"alpha": {"1.9", "1.10", "2.0"}, "beta": {"1.0"}}


def test_a_second_registration_of_what_is_there_is_no_fault(server: ThreadingHTTPServer):
    """A look at TorchServe that is older than the registration asks for it once more."""
    asyncio.run(register(server.server_port, [("beta", "1.0"), ("beta", "1.0")]))
    assert Forgetful.known == {"beta": {"1.0"}}
    with pytest.raises(RefusedError, match=r"said so \(400\)"):
        asyncio.run(register(server.server_port, [("beta", "refused")]))
