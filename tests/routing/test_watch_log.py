"""The log, feedback and old rows, which the watch reads, settles and forgets. Without servers."""

from types import SimpleNamespace

from sqlalchemy.exc import OperationalError

from routing import exposures, feedback, watch
from routing.tables import Exposure, Feedback
from serving.access_log import exposures_file
from tests.routing.lines import NOW, add, ids, line
from tests.routing.rows import A, put, request


def test_the_log_is_read_to_its_end_and_feedback_settled(stage, monkeypatch):
    monkeypatch.setattr(exposures, "BATCH", 2)
    feedback.give(stage.engine, "3", 1.0, None, NOW)
    feedback.give(stage.engine, "never", 1.0, None, NOW)
    stage.now = feedback.PATIENCE + 1
    add(exposures_file(stage.settings), *(line(str(number)) for number in range(5)))
    stage.look()
    assert ids(stage.engine) == list("01234")
    assert feedback.kept(stage.engine, "3").status == "accepted"
    assert feedback.kept(stage.engine, "never").status == "unknown"


def test_another_node_s_change_is_followed(stage):
    stage.start(a=90, b=10)
    assert stage.live.states == {}
    stage.look()
    assert set(stage.live.running) == {"e"}


def test_what_is_older_than_90_days_is_forgotten_once_an_hour(stage, monkeypatch):
    forgotten = []
    monkeypatch.setattr(exposures, "forget", lambda engine, before: forgotten.append((engine, before - NOW)))
    stage.look(passes=2)
    for stage.now in (3600, 3601, 3602):
        stage.look()
    days = 90 * 86_400
    assert forgotten == [(stage.engine, -days), (stage.engine, 3601 - days)]


def test_old_rows_are_really_gone(stage):
    put(stage.engine, Exposure, request("old", A, at=-90 * 86_400 - 1), request("new", A, at=-90 * 86_400 + 1))
    stage.look()
    assert ids(stage.engine) == ["new"]
    assert ids(stage.engine, Feedback) == []


def test_envoy_is_told_to_reopen_its_log(stage, monkeypatch):
    posted = []

    def post(url: str, **options) -> SimpleNamespace:
        posted.append((url, options))
        return SimpleNamespace(raise_for_status=lambda: posted.append("checked"))

    monkeypatch.setattr(watch, "httpx", SimpleNamespace(post=post))
    monkeypatch.setattr(exposures, "LIMIT", 10)
    file = exposures_file(stage.settings)
    add(file, line("a"))
    stage.look()
    assert posted == [("http://127.0.0.1:9999/reopen_logs", {"timeout": 5, "trust_env": False}), "checked"]
    assert not file.exists()


def test_a_database_that_is_away_is_logged_without_a_traceback(stage, caplog, monkeypatch):
    def away(*_) -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(feedback, "settle", away)
    stage.look()
    (record,) = [record for record in caplog.records if record.name == "routing.watch"]
    assert record.getMessage().startswith("the log: ")
    assert "away" in record.getMessage()
    assert not record.exc_info
