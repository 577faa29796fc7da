"""Feedback: what counts, and for how much."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from marina.experiments.database import Exposure
from marina.experiments.feedback import (
    FEEDBACK_SECONDS,
    LOG_WAIT_SECONDS,
    MAX_REWARD,
    FeedbackResult,
    find,
    record,
    resolve_pending,
    reward_of,
)
from tests.experiments.log_lines import NOW, line
from tests.experiments.rows import A, exposure_row, insert_rows


def test_a_reward_counts_once(engine, log):
    log(line("a"))
    first = record(engine, "a", 0.1, None, NOW)
    assert first == FeedbackResult("a", "accepted", 0.1)
    assert record(engine, "a", 0.1, None, NOW + 1) == first
    assert record(engine, "a", 0.2, None, NOW + 1) == FeedbackResult("a", "conflict", 0.1)
    assert record(engine, "a", None, "7", NOW + 1) == FeedbackResult("a", "conflict", 0.1)
    assert find(engine, "a") == first


@pytest.mark.parametrize(
    ("prediction", "label", "earned"),
    [
        ({"label": "7", "probability": 0.5}, "7", 1.0),
        ({"label": "7"}, "8", 0.0),
        ({"label": "7"}, "7.0", 0.0),
        ({"prediction": 23.5}, "20", -3.5),
        ({"prediction": 23.5}, "23.50", 0.0),
    ],
)
def test_a_label_is_compared_with_the_prediction(engine, log, prediction, label, earned):
    record(engine, "early", None, label, NOW)
    log(line("a", prediction), line("early", prediction))
    resolve_pending(engine, NOW)
    assert record(engine, "a", None, label, NOW) == FeedbackResult("a", "accepted", earned, label)
    assert record(engine, "a", None, label, NOW) == FeedbackResult("a", "accepted", earned, label)
    assert record(engine, "a", None, "other", NOW).status == "conflict"
    assert record(engine, "a", earned, None, NOW).status == "conflict"
    assert find(engine, "early") == FeedbackResult("early", "accepted", earned, label)


@pytest.mark.parametrize(
    ("prediction", "label"),
    [(None, "7"), *(({"prediction": 23.5}, label) for label in ("seven", "nan", "1e200"))],
)
def test_a_label_without_anything_to_compare_it_with_is_refused(engine, log, prediction, label):
    """A refused label does not block a reward."""
    assert record(engine, "early", None, label, NOW).status == "pending"
    log(line("a", prediction), line("early", prediction))
    resolve_pending(engine, NOW)
    assert find(engine, "early").status == "refused"
    for request_id in ("a", "early"):
        assert record(engine, request_id, None, label, NOW).status == "refused"
        assert record(engine, request_id, 1.0, None, NOW) == FeedbackResult(request_id, "accepted", 1.0)


def test_feedback_may_come_before_the_log(engine, log):
    assert record(engine, "a", 1.0, None, NOW) == FeedbackResult("a", "pending", 1.0)
    assert record(engine, "a", 0.0, None, NOW).status == "conflict"
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS)
    assert find(engine, "a").status == "pending"
    log(line("a"))
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    assert find(engine, "a") == record(engine, "a", 1.0, None, NOW) == FeedbackResult("a", "accepted", 1.0)


def test_a_request_that_is_never_logged_is_unknown(engine, log):
    assert find(engine, "a").status == "unknown"
    record(engine, "a", 1.0, None, NOW)
    assert record(engine, "a", 1.0, None, NOW + LOG_WAIT_SECONDS + 1) == FeedbackResult("a", "unknown", 1.0)
    record(engine, "b", 1.0, None, NOW)
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    assert find(engine, "b") == FeedbackResult("b", "unknown", 1.0)


def test_feedback_is_not_lost_when_the_log_is_read_too_late(engine, log):
    """Control may have been down for longer than LOG_WAIT_SECONDS."""
    for request_id in "ab":
        record(engine, request_id, 1.0, None, NOW)
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    log(line("a"), line("b"))
    assert record(engine, "a", 1.0, None, NOW + 99).status == "accepted"
    resolve_pending(engine, NOW + 99)
    assert find(engine, "b").status == "accepted"


def test_feedback_after_the_window_is_late(engine, log):
    log(line("a"), line("b"))
    assert record(engine, "a", 1.0, None, NOW + FEEDBACK_SECONDS).status == "accepted"
    assert record(engine, "b", 1.0, None, NOW + FEEDBACK_SECONDS + 1).status == "late"
    assert find(engine, "b").status == "unknown"
    assert record(engine, "a", 1.0, None, NOW + FEEDBACK_SECONDS + 9).status == "accepted"


def test_of_two_values_at_once_one_stays(engine, log):
    log(*(line(str(number)) for number in range(20)))
    with ThreadPoolExecutor(4) as pool:
        given = [
            [pool.submit(record, engine, str(number), float(value), None, NOW) for value in range(4)]
            for number in range(20)
        ]
    for number, futures in enumerate(given):
        results = [future.result() for future in futures]
        assert sorted(each.status for each in results) == ["accepted", "conflict", "conflict", "conflict"]
        assert {each.reward for each in results} == {find(engine, str(number)).reward}


def test_the_limits_are_the_documented_ones():
    assert (FEEDBACK_SECONDS, LOG_WAIT_SECONDS, MAX_REWARD) == (7 * 86_400, 60, 1e9)


def test_an_error_may_be_as_large_as_a_reward():
    def exposure(value: float) -> Exposure:
        return Exposure(prediction={"prediction": value})

    assert reward_of(exposure(0.0), "1e9") == -1e9
    assert reward_of(exposure(0.0), "1000000001") is None
    assert reward_of(exposure(-1.0), "1") == -2
    assert reward_of(Exposure(prediction={"label": "7", "prediction": 8.0}), "8") == 0
    assert reward_of(Exposure(prediction=None), "8") is None


def test_a_refused_value_is_not_stored_and_another_can_be_given(database):
    insert_rows(database, Exposure, exposure_row("a", A))
    assert record(database, "a", None, "7", NOW) == FeedbackResult("a", "refused", None, "7")
    assert find(database, "a") == FeedbackResult("a", "unknown")
    assert record(database, "a", 0.5, None, NOW + 1) == FeedbackResult("a", "accepted", 0.5)


def test_late_feedback_is_returned_as_it_was_sent(database):
    insert_rows(database, Exposure, exposure_row("a", A, at=-FEEDBACK_SECONDS - 1))
    assert record(database, "a", 0.5, None, NOW) == FeedbackResult("a", "late", 0.5)
    assert record(database, "a", None, "7", NOW) == FeedbackResult("a", "late", None, "7")


def test_pending_feedback_is_dated_by_its_arrival(database):
    """The time when the log was read does not matter."""
    record(database, "a", 1.0, None, NOW)
    insert_rows(database, Exposure, exposure_row("a", A, at=-FEEDBACK_SECONDS))
    resolve_pending(database, NOW + FEEDBACK_SECONDS)
    assert find(database, "a") == FeedbackResult("a", "accepted", 1.0)
    record(database, "b", 1.0, None, NOW)
    insert_rows(database, Exposure, exposure_row("b", A, at=-FEEDBACK_SECONDS - 1))
    resolve_pending(database, NOW)
    assert find(database, "b").status == "late"


def test_pending_feedback_becomes_unknown_after_the_last_second(database):
    record(database, "a", 1.0, None, NOW)
    assert record(database, "a", 1.0, None, NOW + LOG_WAIT_SECONDS).status == "pending"
    resolve_pending(database, NOW + LOG_WAIT_SECONDS)
    assert find(database, "a").status == "pending"
    assert record(database, "a", 1.0, None, NOW + LOG_WAIT_SECONDS + 1).status == "unknown"


def test_resolved_feedback_does_not_change(database):
    insert_rows(database, Exposure, exposure_row("a", A, prediction={"label": "7"}))
    record(database, "a", None, "7", NOW)
    resolve_pending(database, NOW + 2 * FEEDBACK_SECONDS)
    assert find(database, "a") == FeedbackResult("a", "accepted", 1.0, "7")
