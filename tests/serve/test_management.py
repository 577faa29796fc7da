"""Changes to a running bundle: register, scale, set-default and retire, under load."""

import threading

import httpx
import pytest

from tests.serve.support.bundle import Bundle

pytestmark = pytest.mark.serve
CLIENTS = 2  # to each path


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.pack("alpha", "1.0")
    instance.pack("beta")
    instance.do("serve")
    return instance


class RepeatedRequests:
    """Closed-loop load: two clients per path send requests one after the other; every response is kept."""

    def __init__(self, bundle: Bundle, *paths: str, seconds: float = 0.05):
        self.responses: list[tuple[str, int, str]] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_repeatedly, args=(bundle.settings.url, path, seconds))
            for path in paths
            for _ in "ab"
        ]

    def _send_repeatedly(self, url, path, seconds):
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while not self._stopped.is_set():
                response = client.post(path, json={}, headers={"x-sleep": str(seconds)})
                self.responses.append((path, response.status_code, response.text))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self):
        return [response for response in self.responses if response[1] != 200]


def version(bundle: Bundle, path: str = "/predictions/alpha") -> str:
    return bundle.http.post(path, json={}).json()["version"]


def test_status_and_predict(bundle: Bundle, tmp_path):
    assert "RUNNING" in bundle.do("status")
    file = tmp_path / "request.json"
    file.write_text('{"a": 1}')
    assert '"version": "1.0"' in bundle.do("predict", "alpha", file)
    assert '"explain": true' in bundle.do("explain", "alpha", file)
    missing = bundle.run("predict", "nope", file)
    assert missing.returncode == 1
    assert "404" in missing.stderr


def test_register_a_version_then_make_it_the_default(bundle: Bundle):
    bundle.pack("alpha", "2.0")
    with RepeatedRequests(bundle, "/predictions/alpha", "/predictions/beta") as load:
        bundle.do("register", "alpha")
        assert version(bundle) == "1.0"
        assert version(bundle, "/predictions/alpha/2.0") == "2.0"
        bundle.do("set-default", "alpha", "2.0")
        assert version(bundle) == "2.0"
    assert load.responses
    assert load.failed == []


def test_torchserve_has_the_same_default(bundle: Bundle):
    url = f"http://127.0.0.1:{bundle.settings.inference_port}/predictions/alpha"
    assert httpx.post(url, json={}, headers=bundle.token()).json()["version"] == "2.0"


def test_register_twice_or_what_is_not_there(bundle: Bundle):
    assert "served already" in bundle.run("register", "alpha", "2.0").stderr
    assert "alpha-3.0.mar" in bundle.run("register", "alpha", "3.0").stderr
    assert "can't become the default" in bundle.run("set-default", "alpha", "3.0").stderr


def test_scale_up_and_down_under_load(bundle: Bundle):
    with RepeatedRequests(bundle, "/predictions/alpha", "/predictions/beta") as load:
        bundle.do("scale", "alpha", "2.0", "2")
        assert len(set(bundle.worker_pids("alpha", "2.0"))) == 2
        bundle.do("scale", "alpha", "2.0", "1")
        assert len(bundle.worker_pids("alpha", "2.0")) == 1
    assert load.failed == []


def test_scale_to_zero_and_back(bundle: Bundle):
    bundle.do("scale", "beta", "1.0", "0")
    response = bundle.http.post("/predictions/beta", json={})
    assert response.status_code == 503
    assert "scaled to 0" in response.json()["message"]
    assert bundle.control().status_code == 200  # the desired state is served
    bundle.do("scale", "beta", "1.0", "1")
    assert bundle.http.post("/predictions/beta", json={}).status_code == 200


def test_the_default_is_not_retired(bundle: Bundle):
    refused = bundle.run("retire", "alpha", "2.0")
    assert refused.returncode == 1
    assert "make set-default MODEL=alpha VERSION=1.0" in refused.stderr


def test_retire_under_load(bundle: Bundle):
    """Requests in flight on the retired version complete; those on others never fail."""
    long_request = {}

    def send_long_request():
        response = httpx.post(
            f"{bundle.settings.url}/predictions/alpha/1.0", json={}, headers={"x-sleep": "4"}, timeout=60
        )
        long_request["status"] = response.status_code

    with RepeatedRequests(bundle, "/predictions/alpha", "/predictions/beta") as load:
        in_flight = threading.Thread(target=send_long_request)
        in_flight.start()
        bundle.do("retire", "alpha", "1.0")
        in_flight.join()
    assert long_request == {"status": 200}
    assert load.failed == []
    assert bundle.http.post("/predictions/alpha/1.0", json={}).status_code == 404
    assert list(bundle.control().json()["models"]["alpha"]["versions"]) == ["2.0"]
    assert (bundle.settings.store / "alpha-1.0.mar").exists()


def test_a_retired_version_can_come_back(bundle: Bundle):
    bundle.do("register", "alpha", "1.0")
    assert version(bundle, "/predictions/alpha/1.0") == "1.0"


def test_the_last_version_takes_the_model_along(bundle: Bundle):
    bundle.do("retire", "beta", "1.0")
    assert "beta" not in bundle.control().json()["models"]
    assert bundle.http.post("/predictions/beta", json={}).status_code == 404
    assert bundle.control().status_code == 200
