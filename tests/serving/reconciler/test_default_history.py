"""History of defaults: what a rollback restores, and how many changes are kept."""

from datetime import UTC, datetime

import pytest

from marina.errors import MarinaError, NothingToRollBackError
from marina.serving.reconciler import default_history
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.model_store import Archive


@pytest.fixture
def desired(tmp_path, monkeypatch) -> DesiredState:
    monkeypatch.setattr(default_history.getpass, "getuser", lambda: "ada")
    made = DesiredState()
    for version in ("1.0", "2.0", "3.0"):
        made.add(Archive("m", version, tmp_path / f"m-{version}.mar"), 1)
    return made


def after(desired: DesiredState, *steps: str) -> list[str]:
    """Apply versions and "back"; return the default after each."""
    found = []
    for step in steps:
        if step == "back":
            desired.roll_back_default("m")
        else:
            desired.set_default("m", step)
        found.append(desired.models["m"].default)
    return found


def test_a_change_has_version_time_user_and_reason(desired):
    desired.set_default("m", "2.0", "more accurate")
    first, second = desired.defaults["m"]
    assert (first.what, first.version, first.who) == ("first", "1.0", "ada")
    assert (second.what, second.version, second.why) == ("set-default", "2.0", "more accurate")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(second.at)).total_seconds()) < 3600


def test_the_same_default_is_no_change(desired):
    desired.set_default("m", "1.0")
    assert len(desired.defaults["m"]) == 1


def test_a_second_rollback_goes_further_back(desired):
    assert after(desired, "2.0", "3.0", "back", "back") == ["2.0", "3.0", "2.0", "1.0"]
    with pytest.raises(NothingToRollBackError):
        desired.roll_back_default("m")


def test_a_version_that_was_rolled_back_is_not_restored(desired):
    assert after(desired, "2.0", "back", "3.0", "back")[-1] == "1.0"


def test_a_rollback_to_a_retired_version_is_refused_with_the_reason(desired):
    desired.set_default("m", "2.0")
    desired.drop("m", "1.0")
    with pytest.raises(MarinaError, match=r"previous default can't be restored: m 1\.0 is not served"):
        desired.roll_back_default("m")
    assert (desired.models["m"].default, len(desired.defaults["m"])) == ("2.0", 2)


def test_a_state_without_history_can_be_rolled_back_after_one_change(desired):
    desired.defaults.clear()
    assert after(desired, "2.0", "back") == ["2.0", "1.0"]


def test_the_last_hundred_changes_are_kept(desired):
    after(desired, *(["2.0", "1.0"] * 60))
    changes = desired.defaults["m"]
    assert (len(changes), changes[0].id, changes[-1].id) == (100, 22, 121)
    assert default_history.previous(changes).version == "2.0"


def test_a_user_without_a_name_has_a_number(monkeypatch):
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(default_history.getpass, "getuser", nameless)
    assert default_history.user().isdigit()
