"""The commands register, scale and retire."""

import pytest

from marina.cli import bundle, bundle_client, default_version, versions
from marina.errors import MarinaError
from marina.serving import supervisor
from marina.serving.reconciler import desired_state
from tests.cli.bundle_status import status_of, version
from tests.serving.archive_files import write_mar


@pytest.mark.parametrize(
    ("found", "workers", "served"),
    [
        (version("ready", "READY"), None, True),
        (version("ready", "READY"), 1, True),
        (version("ready", "READY"), 2, False),
        (version("ready", "READY", "LOADING"), 2, False),
        (version("ready", "READY", "READY"), 1, False),
        (version("loading", "READY"), None, False),
        (version("stopped"), 0, True),
        (version("stopped", "READY"), 0, False),
        (version("ready"), 0, False),
    ],
)
def test_a_version_is_served_with_the_requested_number_of_workers(found, workers, served):
    assert versions.served(status_of({"1.0": found}), "cat", "1.0", workers) is served


def test_a_version_that_will_never_be_served_is_an_error():
    status = status_of({"1.0": version("failed", reason="why")})
    assert not versions.served(status, "cat", "2.0")
    assert not versions.served(status, "dog", "1.0")
    for state in ("failed", "refused"):
        with pytest.raises(MarinaError, match=r"^cat 1\.0: why$"):
            versions.served(status_of({"1.0": version(state, reason="why")}), "cat", "1.0")


def test_registering_writes_the_desired_state_and_waits(settings, served, printed):
    write_mar(settings, "cat", "3.0", **{"model-config__yaml": "minWorkers: 2"})
    served.found = [status_of({"3.0": version("loading")}), status_of({"3.0": version("ready", "READY")})]
    versions.register("cat", None)
    model = desired_state.load(settings).models["cat"]
    assert (model.default, model.versions["3.0"]) == (
        "1.0",
        desired_state.VersionSpec(archive="cat-3.0.mar", workers=2),
    )
    assert served.polls == 2
    assert printed.getvalue() == f"cat 3.0 is served at {settings.url}/predictions/cat/3.0\n"
    with pytest.raises(MarinaError, match=r"^cat 3\.0 is served already; to load it again, retire it first$"):
        versions.register("cat", "3.0")
    write_mar(settings, "cat", "4.0", signed=False)
    with pytest.raises(MarinaError, match=r"^refused: cat-4\.0\.mar: it is not signed"):
        versions.register("cat", "4.0")
    assert "4.0" not in desired_state.load(settings).models["cat"].versions


def test_scaling_writes_the_desired_state_and_waits(settings, served, printed):
    served.found = [status_of({"2.0": version("ready", "READY")}), status_of({"2.0": version("ready", *["READY"] * 3)})]
    versions.scale("cat", "2.0", 3)
    assert desired_state.load(settings).models["cat"].versions["2.0"].workers == 3
    assert served.polls == 2
    assert printed.getvalue() == "cat 2.0 has 3 workers\n"


def test_retiring_waits_until_the_version_is_gone(settings, served, printed, monkeypatch):
    queried = []
    monkeypatch.setattr(bundle_client, "experiments_with", lambda *of: queried.append(of) or [])
    served.found = [status_of({"2.0": version("retiring")}), status_of({"1.0": version()})]
    versions.retire("cat", "2.0")
    assert queried == [(settings, "cat", "2.0")]
    assert desired_state.load(settings).models["cat"].versions["2.0"].retiring
    assert served.polls == 2
    assert printed.getvalue() == "cat 2.0 is retired; its archive is still in the store\n"
    monkeypatch.setattr(bundle_client, "experiments_with", lambda *_: ["exp"])
    with pytest.raises(MarinaError) as refused:
        versions.retire("cat", "1.0")
    assert str(refused.value) == "cat 1.0 serves requests of the experiment exp: `make ab-stop EXP=exp` first"


@pytest.mark.parametrize(
    "change", [lambda: versions.register("cat"), lambda: versions.scale("cat", "1.0", 1),
               lambda: default_version.set_default("cat", "1.0"), lambda: versions.retire("cat", "1.0"), bundle.status]
)  # fmt: skip
def test_changes_need_a_running_bundle(settings, change, monkeypatch):
    monkeypatch.setattr(supervisor, "process", lambda of: None if of == settings else True)
    with pytest.raises(MarinaError, match="nothing is running"):
        change()
