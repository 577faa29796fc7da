"""The desired state: default versions, retirement, and one change at a time between processes."""

import json
import stat
import subprocess
import sys
import threading

import pytest

from marina.errors import MarinaError
from marina.serving.reconciler import desired_state
from marina.serving.reconciler.desired_state import DesiredState, ModelSpec, VersionSpec
from marina.serving.reconciler.model_store import Archive
from marina.settings import ROOT, Settings


def archive(settings, version: str) -> Archive:
    return Archive("m", version, settings.store / f"m-{version}.mar")


def serving_versions(settings, *versions: str) -> DesiredState:
    desired = DesiredState()
    for version in versions:
        desired.add(archive(settings, version), 1)
    return desired


def test_the_first_version_is_the_default_and_later_ones_wait(settings):
    desired = DesiredState()
    desired.add(archive(settings, "1.0"), 2)
    desired.add(archive(settings, "2.0"), 3)
    assert desired.models == {
        "m": ModelSpec(
            default="1.0",
            versions={
                "1.0": VersionSpec(archive="m-1.0.mar", workers=2, retiring=False),
                "2.0": VersionSpec(archive="m-2.0.mar", workers=3, retiring=False),
            },
        )
    }


@pytest.mark.parametrize(
    ("change", "arguments"), [("set_default", ()), ("scale", (2,)), ("retire", ())], ids=["default", "scale", "retire"]
)
def test_a_retiring_version_is_not_changed_any_more(settings, change, arguments):
    desired = serving_versions(settings, "1.0", "2.0")
    desired.retire("m", "2.0")
    with pytest.raises(MarinaError, match=r"^m 2\.0 is not served; its versions are 1\.0, 2\.0$"):
        getattr(desired, change)("m", "2.0", *arguments)
    assert desired.models["m"].default == "1.0"
    assert desired.models["m"].versions["2.0"] == VersionSpec(archive="m-2.0.mar", workers=1, retiring=True)


def test_a_model_that_is_not_served_is_named_with_those_that_are(settings):
    with pytest.raises(MarinaError, match=r"^x is not served; it serves nothing$"):
        DesiredState().at("x", "1.0")
    desired = serving_versions(settings, "1.0")
    desired.models["n"] = desired.models["m"]
    with pytest.raises(MarinaError, match=r"^x is not served; it serves m, n$"):
        desired.at("x", "1.0")


def test_the_default_is_retired_when_only_retiring_versions_are_left(settings):
    desired = serving_versions(settings, "1.0", "2.0")
    desired.retire("m", "2.0")
    desired.retire("m", "1.0")
    assert all(version.retiring for version in desired.models["m"].versions.values())


def test_the_newest_of_the_others_is_proposed_as_default(settings):
    desired = serving_versions(settings, "1.0", "1.10", "1.9")
    with pytest.raises(MarinaError, match=r"^m 1\.0 is the default: `make set-default MODEL=m VERSION=1\.10` first$"):
        desired.retire("m", "1.0")
    assert not desired.models["m"].versions["1.0"].retiring


@pytest.mark.parametrize("workers", [0, 1, 5])
def test_scaling_sets_the_number_of_workers(settings, workers):
    desired = serving_versions(settings, "1.0")
    desired.scale("m", "1.0", workers)
    assert desired.models["m"].versions["1.0"].workers == workers


def test_no_version_has_a_negative_number_of_workers(settings):
    desired = serving_versions(settings, "1.0")
    with pytest.raises(MarinaError, match=r"^the number of workers can't be negative$"):
        desired.scale("m", "1.0", -1)
    assert desired.models["m"].versions["1.0"].workers == 1


def test_a_dropped_version_leaves_the_others(settings):
    desired = serving_versions(settings, "1.0", "2.0")
    desired.drop("m", "2.0")
    assert list(desired.models["m"].versions) == ["1.0"]
    desired.drop("m", "1.0")
    assert desired.models == {}


def test_without_a_file_nothing_is_served_and_what_is_saved_is_loaded(settings):
    assert desired_state.load(settings) == DesiredState()
    desired = serving_versions(settings, "1.0")
    desired_state.save(settings, desired)
    assert desired_state.load(settings) == desired
    file = settings.var / "state" / "models.json"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    text = file.read_text()
    assert text.endswith("}\n")
    assert text.startswith('{\n  "models": {\n    "m": {')
    assert json.loads(text)["models"]["m"]["default"] == "1.0"


def test_the_file_of_an_earlier_marina_is_read_until_the_first_change(settings):
    earlier = settings.run / "models.json"
    earlier.write_text('{"models": {"m": {"default": "1.0", "versions": {"1.0": {"archive": "m-1.0.mar"}}}}}')
    assert desired_state.load(settings).models["m"].default == "1.0"
    assert earlier.exists(), "reading changes nothing"
    with desired_state.change(settings) as desired:
        desired.add(archive(settings, "2.0"), 1)
    assert not earlier.exists()
    assert list(desired_state.load(settings).models["m"].versions) == ["1.0", "2.0"]


def test_a_damaged_file_is_named(settings):
    desired_state.state_file(settings).write_text("{")
    with pytest.raises(
        MarinaError, match=r"state/models\.json can't be read \(.*\): restore it from a backup, or remove"
    ):
        desired_state.load(settings)


def test_the_last_good_copy_stands_in_for_a_damaged_file_which_is_kept(settings):
    desired_state.save(settings, serving_versions(settings, "1.0"))
    assert desired_state.damage(settings) is None
    file = desired_state.state_file(settings)
    file.write_text('{"models": {"m": {"default": ')
    assert desired_state.load(settings) == serving_versions(settings, "1.0")
    assert desired_state.damage(settings).startswith(f"{file} can't be read (")
    assert file.read_text() == '{"models": {"m": {"default": ', "reading changes nothing"
    with desired_state.change(settings) as desired:
        desired.add(archive(settings, "2.0"), 1)
    (kept,) = settings.state.glob("models.json.damaged-*")
    assert kept.read_text() == '{"models": {"m": {"default": '
    assert desired_state.damage(settings) is None
    assert list(desired_state.load(settings).models["m"].versions) == ["1.0", "2.0"]


def test_a_dropped_version_is_remembered_as_retired_until_it_is_added_again(settings):
    desired = serving_versions(settings, "1.0", "2.0", "3.0")
    for version in ("1.0", "2.0"):
        desired.drop("m", version)
    assert desired.retired == {"m": ["1.0", "2.0"]}
    desired.add(archive(settings, "1.0"), 1)
    assert desired.retired == {"m": ["2.0"]}
    desired.add(archive(settings, "2.0"), 1)
    assert desired.retired == {}


def test_a_version_added_to_a_paused_model_resumes_it_as_it_was(settings):
    desired = serving_versions(settings, "1.0", "2.0")
    desired.set_default("m", "2.0")
    desired.pause("m")
    assert (desired.models, list(desired.paused)) == ({}, ["m"])
    desired.add(archive(settings, "3.0"), 1)
    assert (list(desired.models["m"].versions), desired.models["m"].default) == (["1.0", "2.0", "3.0"], "2.0")
    assert desired.paused == {}


CHANGE = """
import sys
from marina.serving.reconciler import desired_state
from marina.settings import Settings
with desired_state.change(Settings()) as desired:
    print("in", flush=True)
    sys.stdin.readline()
    versions = {"1.0": desired_state.VersionSpec(archive="o-1.0.mar")}
    desired.models["other"] = desired_state.ModelSpec(default="1.0", versions=versions)
"""


def test_a_change_waits_for_that_of_another_process_and_keeps_it(settings):
    """Without a lock between processes the later of two changes would undo the earlier one."""
    command = [sys.executable, "-c", CHANGE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        began, done = threading.Event(), threading.Event()

        def change() -> None:
            began.set()
            with desired_state.change(settings) as desired:
                desired.add(archive(settings, "1.0"), 1)
            done.set()

        thread = threading.Thread(target=change)
        thread.start()
        began.wait()
        assert not done.wait(0.5), "two changes at once"
        other.stdin.write("\n")
        other.stdin.flush()
        thread.join()
        assert other.wait() == 0
    assert set(desired_state.load(settings).models) == {"m", "other"}


def two_versions(tmp_path) -> DesiredState:
    desired = DesiredState()
    for version in ("1.0", "2.0"):
        desired.add(Archive("m", version, tmp_path / f"m-{version}.mar"), 1)
    return desired


def test_the_default_is_not_retired_while_there_are_others(tmp_path):
    desired = two_versions(tmp_path)
    with pytest.raises(MarinaError, match=r"set-default MODEL=m VERSION=2\.0"):
        desired.retire("m", "1.0")
    desired.set_default("m", "2.0")
    desired.retire("m", "1.0")
    desired.drop("m", "1.0")
    desired.retire("m", "2.0")
    desired.drop("m", "2.0")
    assert desired.models == {}


@pytest.mark.parametrize("change", ["scale", "set_default", "retire"])
def test_what_is_not_served_is_named(tmp_path, change):
    arguments = (3,) if change == "scale" else ()
    with pytest.raises(MarinaError, match=r"m 3\.0 is not served; its versions are 1\.0, 2\.0"):
        getattr(two_versions(tmp_path), change)("m", "3.0", *arguments)


def test_a_refused_change_is_not_saved(tmp_path):
    settings = Settings(var=tmp_path)
    settings.make_folders()
    desired_state.save(settings, DesiredState())

    def fail_half_way():
        with desired_state.change(settings) as desired:
            desired.models["m"] = desired_state.ModelSpec(
                default="1.0", versions={"1.0": VersionSpec(archive="m-1.0.mar")}
            )
            desired.retire("m", "2.0")

    with pytest.raises(MarinaError):
        fail_half_way()
    assert desired_state.load(settings) == DesiredState()
