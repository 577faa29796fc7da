"""The commands set-default, rollback and defaults."""

import json

import pytest

from marina.cli import default_version
from marina.errors import MarinaError
from marina.serving.reconciler import desired_state
from tests.cli.bundle_status import status_of, version

READY = {"1.0": version(), "2.0": version()}


def test_the_default_is_changed_only_to_what_is_ready(settings, served, printed):
    served.found = [status_of({"2.0": version("loading")})]
    for found in (served.found, [None]):
        served.found = found
        with pytest.raises(MarinaError) as refused:
            default_version.set_default("cat", "2.0")
        assert str(refused.value) == "cat 2.0 is not ready, so it can't become the default; see `make status`"
    ready = {"1.0": version(), "2.0": version()}
    not_all = {"1.0": version("loading"), "2.0": version()}
    served.found, served.polls = (
        [status_of(ready), status_of(ready), status_of(not_all, "2.0"), status_of(ready, "2.0")],
        0,
    )
    default_version.set_default("cat", "2.0")
    assert desired_state.load(settings).models["cat"].default == "2.0"
    assert served.polls == 4
    assert printed.getvalue() == f"{settings.url}/predictions/cat is served by version 2.0\n"


def test_a_rollback_restores_the_previous_default_and_keeps_the_reasons(settings, served, printed, capsys):
    served.found = [status_of(READY), status_of(READY, "2.0")]
    default_version.set_default("cat", "2.0", why="more accurate")
    served.found = [status_of(READY, "2.0"), status_of(READY)]
    default_version.rollback("cat", why="slower")
    assert desired_state.load(settings).models["cat"].default == "1.0"
    assert printed.getvalue().endswith("/predictions/cat is served by version 1.0\n")
    with pytest.raises(MarinaError, match=r"^cat: there is no earlier default to go back to$"):
        default_version.rollback("cat")
    default_version.defaults("cat", as_json=True)
    shown = [(it["what"], it["version"], it["why"]) for it in json.loads(capsys.readouterr().out)]
    assert shown == [("rollback", "1.0", "slower"), ("set-default", "2.0", "more accurate"), ("first", "1.0", "")]
    default_version.defaults("cat")
    for text in ("set-default", "more accurate", "slower", "+00:00"):
        assert text in printed.getvalue()


def test_a_rollback_to_what_is_not_ready_changes_nothing(settings, served):
    with desired_state.change(settings) as desired:
        desired.set_default("cat", "2.0")
    served.found = [status_of({"1.0": version("loading"), "2.0": version()}, "2.0")]
    with pytest.raises(MarinaError, match=r"^cat 1\.0 is not ready, so it can't become the default"):
        default_version.rollback("cat")
    assert desired_state.load(settings).models["cat"].default == "2.0"


def test_a_model_without_a_history_is_named(settings):
    with pytest.raises(MarinaError, match="no default of dog was recorded"):
        default_version.defaults("dog")
