"""TorchServe takes a lone request at once, and all that is queued as one batch."""

import threading
import zipfile
from pathlib import Path

import httpx
import pytest

from handlers import jobs
from serving import grpc_streams, no_wait, torchserve
from tests.serve.bundle import Bundle

JAR = torchserve.home() / "ts" / "frontend" / "model-server.jar"
SECONDS = 0.3
BURST = 12


def test_two_comparisons_and_a_lock_of_the_class_are_changed_and_nothing_else():
    with zipfile.ZipFile(JAR) as archive:
        original = archive.read(no_wait.CHANGE.member)
    patched = no_wait.CHANGE.patched(JAR)
    assert patched is not None
    different = [(before, after) for before, after in zip(original, patched, strict=True) if before != after]
    comparison = (0x9D, 0x9C)  # ifgt -> ifge, in pollBatch and in pollInferJob
    lock = [(byte, 0) for byte in no_wait.LOCK if byte]  # in the latter: nop, seven times
    assert different == [comparison, *lock, comparison]
    assert patched.count(no_wait.LOCK) == original.count(no_wait.LOCK) - 1 == 1  # that of pollBatch stays


def test_the_other_change_is_of_one_method_and_workers_are_told():
    original = zipfile.ZipFile(JAR).read(grpc_streams.CHANGE.member)
    patched = grpc_streams.CHANGE.patched(JAR)
    assert patched is not None
    more = grpc_streams.NOT + grpc_streams.AND_STREAMS
    assert patched.replace(more, b"").replace(grpc_streams.CHANGED_HEAD, grpc_streams.HEAD) == original
    assert grpc_streams.VARIABLE == jobs.GRPC_STREAMS


def test_another_torchserve_is_left_as_it_is(tmp_path: Path):
    jar, classes = tmp_path / "other.jar", tmp_path / "classes"
    with zipfile.ZipFile(JAR) as archive, zipfile.ZipFile(jar, "w") as other:
        other.writestr(no_wait.CHANGE.member, archive.read(no_wait.CHANGE.member) + b"\0")
    assert no_wait.CHANGE.write(JAR, classes)
    assert no_wait.CHANGE.active(classes)
    assert not no_wait.CHANGE.write(jar, classes)
    assert not no_wait.CHANGE.active(classes)  # what an earlier TorchServe needed must not shadow this one's class


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.pack("slow", batch=BURST, seconds=SECONDS)
    instance.pack("patient", batch=BURST, delay=50)
    instance.do("start")
    return instance


@pytest.mark.serve
def test_a_burst_is_one_batch(bundle: Bundle):
    """A first request occupies the worker; those that come meanwhile must share what follows."""
    with httpx.Client(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=BURST + 1)) as client:

        def ask(found: list[int]) -> None:
            found.append(client.post(f"{bundle.settings.url}/predictions/slow", json={}).json()["batch"])

        sizes: list[int] = []
        threads = [threading.Thread(target=ask, args=(sizes,)) for _ in range(BURST + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Each row says the size of its batch. A delay of 0 without the patch makes batches of two at most.
    assert max(sizes) > BURST // 2, sizes


@pytest.mark.serve
def test_only_the_shortest_delay_is_taken_away(bundle: Bundle):
    url = f"http://127.0.0.1:{bundle.settings.management_port}/models"
    for name, delay in (("slow", 0), ("patient", 50)):
        (described,) = httpx.get(f"{url}/{name}", headers=bundle.token("management"), trust_env=False).json()
        assert described["maxBatchDelay"] == delay
