"""Archives that differ from what was signed, or do not load, are refused by name; the others are served."""

import shutil

import pytest

from marina.packaging.verify import signature_of
from tests.serve.support.bundle import Bundle

pytestmark = pytest.mark.serve


@pytest.fixture(scope="module")
def started(instance: Bundle):
    """A store with one good archive of `good`, and everything that is wrong with others."""
    instance.pack("good")
    newer = instance.pack("good", "2.0")
    flipped = bytearray(newer.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    newer.write_bytes(flipped)

    source = instance.pack("original")
    renamed = instance.settings.store / "renamed-1.0.mar"
    shutil.copy(source, renamed)
    shutil.copy(signature_of(source), signature_of(renamed))

    signature_of(instance.pack("unsigned")).unlink()
    instance.pack("empty").write_bytes(b"")
    instance.pack("broken", broken=True)
    return instance.run("serve")


@pytest.fixture
def bundle(started, instance: Bundle) -> Bundle:
    return instance


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        ("good-2.0.mar", "it was changed or renamed"),
        ("renamed-1.0.mar", "it was changed or renamed"),
        ("unsigned-1.0.mar", "it is not signed"),
        ("empty-1.0.mar", "it was changed or renamed"),
    ],
)
def test_start_names_the_rejected_archives(started, archive, why):
    assert started.returncode == 1
    (line,) = [line for line in started.stdout.splitlines() if archive in line]
    assert line.startswith("refused")
    assert why in line
    assert archive in started.stderr  # and again at the end, where it is read


def test_start_names_the_model_that_does_not_load_and_why(started):
    assert "broken 1.0: its worker died while loading" in started.stderr
    assert "RuntimeError: this model is broken on purpose" in started.stderr


def test_the_other_archives_are_served(bundle: Bundle):
    assert bundle.http.post("/predictions/original", json={}).status_code == 200
    # The newest version that was not refused is the default.
    assert bundle.http.post("/predictions/good", json={}).json()["version"] == "1.0"


def test_requests_to_rejected_models_get_a_503_with_the_reason(bundle: Bundle):
    for path, why in (("good/2.0", "changed or renamed"), ("renamed", "changed or renamed"), ("broken", "on purpose")):
        response = bundle.http.post(f"/predictions/{path}", json={})
        assert response.status_code == 503
        assert why in response.json()["message"]


def test_ready_and_status_report_the_state_of_each_version(bundle: Bundle):
    ready, status = bundle.http.get("/ready"), bundle.control("/status")
    assert (ready.status_code, status.status_code) == (503, 503)
    models = ready.json()["models"]
    assert models["original"]["ready"] is True
    assert models["good"]["versions"]["1.0"]["ready"] is True
    assert models["good"]["versions"]["2.0"]["state"] == "refused"
    assert models["broken"]["versions"]["1.0"]["state"] == "failed"
    assert "on purpose" in status.json()["models"]["broken"]["versions"]["1.0"]["reason"]


def test_register_rejects_a_changed_archive(bundle: Bundle):
    late = bundle.pack("late")
    late.write_bytes(late.read_bytes() + b"\0")
    refused = bundle.run("register", "late")
    assert refused.returncode == 1
    assert "late-1.0.mar" in refused.stderr
    assert "late" not in bundle.control().json()["models"]
