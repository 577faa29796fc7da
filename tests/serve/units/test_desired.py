"""The desired state: default versions, retirement, and one change at a time over all processes."""

import json
import subprocess
import sys
import threading

import pytest

from serving import desired
from serving.desired import Desired, Model, Version
from serving.errors import MarinaError
from serving.settings import ROOT
from serving.store import Archive, archives
from tests.serve.units.marfiles import mar


def archive(settings, version: str) -> Archive:
    return Archive("m", version, settings.store / f"m-{version}.mar")


def serving_versions(settings, *versions: str) -> Desired:
    wanted = Desired()
    for version in versions:
        wanted.add(archive(settings, version), 1)
    return wanted


def test_the_first_version_is_the_default_and_later_ones_wait(settings):
    wanted = Desired()
    wanted.add(archive(settings, "1.0"), 2)
    wanted.add(archive(settings, "2.0"), 3)
    assert wanted.models == {
        "m": Model(
            default="1.0",
            versions={
                "1.0": Version(archive="m-1.0.mar", workers=2, retiring=False),
                "2.0": Version(archive="m-2.0.mar", workers=3, retiring=False),
            },
        )
    }


@pytest.mark.parametrize(
    ("change", "arguments"), [("set_default", ()), ("scale", (2,)), ("retire", ())], ids=["default", "scale", "retire"]
)
def test_a_retiring_version_is_not_changed_any_more(settings, change, arguments):
    wanted = serving_versions(settings, "1.0", "2.0")
    wanted.retire("m", "2.0")
    with pytest.raises(MarinaError, match=r"^m 2\.0 is not served; its versions are 1\.0, 2\.0$"):
        getattr(wanted, change)("m", "2.0", *arguments)
    assert wanted.models["m"].default == "1.0"
    assert wanted.models["m"].versions["2.0"] == Version(archive="m-2.0.mar", workers=1, retiring=True)


def test_a_model_that_is_not_served_is_named_with_those_that_are(settings):
    with pytest.raises(MarinaError, match=r"^x is not served; it serves nothing$"):
        Desired().at("x", "1.0")
    wanted = serving_versions(settings, "1.0")
    wanted.models["n"] = wanted.models["m"]
    with pytest.raises(MarinaError, match=r"^x is not served; it serves m, n$"):
        wanted.at("x", "1.0")


def test_the_default_is_retired_when_only_retiring_versions_are_left(settings):
    wanted = serving_versions(settings, "1.0", "2.0")
    wanted.retire("m", "2.0")
    wanted.retire("m", "1.0")
    assert all(version.retiring for version in wanted.models["m"].versions.values())


def test_the_newest_of_the_others_is_proposed_as_default(settings):
    wanted = serving_versions(settings, "1.0", "1.10", "1.9")
    with pytest.raises(MarinaError, match=r"^m 1\.0 is the default: `make set-default MODEL=m VERSION=1\.10` first$"):
        wanted.retire("m", "1.0")
    assert not wanted.models["m"].versions["1.0"].retiring


@pytest.mark.parametrize("workers", [0, 1, 5])
def test_scaling_sets_the_number_of_workers(settings, workers):
    wanted = serving_versions(settings, "1.0")
    wanted.scale("m", "1.0", workers)
    assert wanted.models["m"].versions["1.0"].workers == workers


def test_no_version_has_a_negative_number_of_workers(settings):
    wanted = serving_versions(settings, "1.0")
    with pytest.raises(MarinaError, match=r"^the number of workers can't be negative$"):
        wanted.scale("m", "1.0", -1)
    assert wanted.models["m"].versions["1.0"].workers == 1


def test_a_dropped_version_leaves_the_others(settings):
    wanted = serving_versions(settings, "1.0", "2.0")
    wanted.drop("m", "2.0")
    assert list(wanted.models["m"].versions) == ["1.0"]
    wanted.drop("m", "1.0")
    assert wanted.models == {}


def test_the_newest_version_that_was_not_refused_is_the_default(settings):
    for version, workers in (("1.0", 1), ("1.9", 3), ("1.10", 4)):
        mar(settings, "m", version, **{"model-config__yaml": f"minWorkers: {workers}\n"})
    found = archives(settings.store)["m"]
    assert [(each.version, each.workers) for each in found] == [("1.0", 1), ("1.9", 3), ("1.10", 4)]
    assert desired.of(found).models["m"].default == "1.10"
    wanted = desired.of(found, [found[2]]).models["m"]
    assert wanted.default == "1.9"
    assert {version: it.workers for version, it in wanted.versions.items()} == {"1.0": 1, "1.9": 3, "1.10": 1}


def test_without_a_file_nothing_is_served_and_what_is_saved_is_loaded(settings):
    assert desired.load(settings) == Desired()
    wanted = serving_versions(settings, "1.0")
    desired.save(settings, wanted)
    assert desired.load(settings) == wanted
    text = (settings.run / "models.json").read_text()
    assert text.endswith("}\n")
    assert text.startswith('{\n  "models": {\n    "m": {')
    assert json.loads(text)["models"]["m"]["default"] == "1.0"


CHANGE = """
import sys
from serving import desired
from serving.settings import Settings
with desired.change(Settings()) as wanted:
    print("in", flush=True)
    sys.stdin.readline()
    wanted.models["other"] = desired.Model(default="1.0", versions={"1.0": desired.Version(archive="o-1.0.mar")})
"""


def test_a_change_waits_for_that_of_another_process_and_keeps_it(settings):
    """Without a lock between processes the later of two changes would undo the earlier one."""
    command = [sys.executable, "-c", CHANGE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        began, done = threading.Event(), threading.Event()

        def change() -> None:
            began.set()
            with desired.change(settings) as wanted:
                wanted.add(archive(settings, "1.0"), 1)
            done.set()

        thread = threading.Thread(target=change)
        thread.start()
        began.wait()
        assert not done.wait(0.5), "two changes at once"
        other.stdin.write("\n")
        other.stdin.flush()
        thread.join()
        assert other.wait() == 0
    assert set(desired.load(settings).models) == {"m", "other"}
