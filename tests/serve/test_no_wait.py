"""Batching without delay: an idle worker takes a single request at once, and all queued requests as one batch."""

import threading

import httpx
import pytest

from tests.serve.support.bundle import Bundle

SECONDS = 0.3


BURST = 12


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.pack("slow", batch=BURST, seconds=SECONDS)
    instance.pack("patient", batch=BURST, delay=50)
    instance.do("serve")
    return instance


@pytest.mark.serve
def test_a_burst_is_one_batch(bundle: Bundle):
    """A first request occupies the worker; those that arrive meanwhile must form one batch."""
    with httpx.Client(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=BURST + 1)) as client:

        def send(sizes: list[int]) -> None:
            sizes.append(client.post(f"{bundle.settings.url}/predictions/slow", json={}).json()["batch"])

        sizes: list[int] = []
        threads = [threading.Thread(target=send, args=(sizes,)) for _ in range(BURST + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Each response contains the size of its batch. Without Marina's patch, a delay of 0 gives batches of at most two.
    assert max(sizes) > BURST // 2, sizes


@pytest.mark.serve
def test_only_a_delay_of_1_ms_becomes_no_delay(bundle: Bundle):
    url = f"http://127.0.0.1:{bundle.settings.management_port}/models"
    for name, delay in (("slow", 0), ("patient", 50)):
        (described,) = httpx.get(f"{url}/{name}", headers=bundle.token("management"), trust_env=False).json()
        assert described["maxBatchDelay"] == delay
