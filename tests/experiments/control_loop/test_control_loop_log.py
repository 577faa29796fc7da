"""Control loop: the log is read, feedback resolved, and old rows deleted. Without servers."""

from sqlalchemy.exc import OperationalError

from marina.experiments import feedback, log_ingest
from marina.experiments.database import Exposure, Feedback
from marina.serving.envoy import gateway
from marina.serving.envoy.bootstrap import exposures_file
from tests.experiments.log_lines import NOW, add, ids, line
from tests.experiments.rows import A, claims, exposure_row, insert_rows


def test_the_whole_log_is_read_and_feedback_resolved(harness, monkeypatch):
    monkeypatch.setattr(log_ingest, "BATCH", 2)
    feedback.record(harness.engine, claims("3"), 1.0, None, NOW)
    feedback.record(harness.engine, claims("never"), 1.0, None, NOW)
    harness.now = feedback.LOG_WAIT_SECONDS + 1
    add(exposures_file(harness.settings), *(line(str(number)) for number in range(5)))
    harness.run_passes()
    assert ids(harness.engine) == list("01234")
    assert feedback.find(harness.engine, claims("3")).status == "accepted"
    assert feedback.find(harness.engine, claims("never")).status == "unknown"


def test_a_change_of_another_node_is_loaded(harness):
    harness.start(a=90, b=10)
    assert harness.cache.states == {}
    harness.run_passes()
    assert set(harness.cache.running) == {"e"}


def test_rows_older_than_90_days_are_deleted_once_an_hour(harness, monkeypatch):
    forgotten = []
    monkeypatch.setattr(log_ingest, "delete_before", lambda engine, before: forgotten.append((engine, before - NOW)))
    harness.run_passes(passes=2)
    for harness.now in (3600, 3601, 3602):
        harness.run_passes()
    days = 90 * 86_400
    assert forgotten == [(harness.engine, -days), (harness.engine, 3601 - days)]


def test_deleted_rows_are_no_longer_in_the_database(harness):
    insert_rows(
        harness.engine,
        Exposure,
        exposure_row("old", A, at=-90 * 86_400 - 1),
        exposure_row("new", A, at=-90 * 86_400 + 1),
    )
    harness.run_passes()
    assert ids(harness.engine) == ["new"]
    assert ids(harness.engine, Feedback) == []


def test_envoy_reopens_its_log_after_a_rotation(harness, monkeypatch):
    posted = []
    monkeypatch.setattr(gateway, "reopen_logs", posted.append)
    monkeypatch.setattr(log_ingest, "MAX_FILE_BYTES", 10)
    file = exposures_file(harness.settings)
    add(file, line("a"))
    harness.run_passes()
    assert posted == [harness.settings]
    assert not file.exists()


def test_an_unavailable_database_is_logged_without_a_traceback(harness, caplog, monkeypatch):
    def away(*_) -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(feedback, "resolve_pending", away)
    harness.run_passes()
    (record,) = [record for record in caplog.records if record.name == "marina.experiments.control_loop"]
    assert record.getMessage().startswith("the log: ")
    assert "away" in record.getMessage()
    assert not record.exc_info
