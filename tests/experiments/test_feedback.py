"""Feedback: what counts, and for how much."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from marina.experiments.database import Exposure
from marina.experiments.feedback import (
    LOG_WAIT_SECONDS,
    MAX_REWARD,
    UNBOUNDED,
    FeedbackResult,
    find,
    record,
    resolve_pending,
    reward_of,
)
from marina.experiments.feedback_token import FEEDBACK_SECONDS, Claims
from marina.experiments.spec import RewardBounds
from tests.experiments.log_lines import NOW, line
from tests.experiments.rows import A, claims, declare, exposure_row, insert_rows


def test_a_reward_counts_once(engine, log):
    log(line("a"))
    first = record(engine, claims("a"), 0.1, None, NOW)
    assert first == FeedbackResult("a", "accepted", 0.1)
    assert record(engine, claims("a"), 0.1, None, NOW + 1) == first
    assert record(engine, claims("a"), 0.2, None, NOW + 1) == FeedbackResult("a", "conflict", 0.1)
    assert record(engine, claims("a"), None, "7", NOW + 1) == FeedbackResult("a", "conflict", 0.1)
    assert find(engine, claims("a")) == first


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
    record(engine, claims("early"), None, label, NOW)
    log(line("a", prediction), line("early", prediction))
    resolve_pending(engine, NOW)
    assert record(engine, claims("a"), None, label, NOW) == FeedbackResult("a", "accepted", earned, label)
    assert record(engine, claims("a"), None, label, NOW) == FeedbackResult("a", "accepted", earned, label)
    assert record(engine, claims("a"), None, "other", NOW).status == "conflict"
    assert record(engine, claims("a"), earned, None, NOW).status == "conflict"
    assert find(engine, claims("early")) == FeedbackResult("early", "accepted", earned, label)


@pytest.mark.parametrize(
    ("prediction", "label"),
    [(None, "7"), *(({"prediction": 23.5}, label) for label in ("seven", "nan", "1e200"))],
)
def test_a_label_without_anything_to_compare_it_with_is_refused(engine, log, prediction, label):
    """A refused label does not block a reward."""
    assert record(engine, claims("early"), None, label, NOW).status == "pending"
    log(line("a", prediction), line("early", prediction))
    resolve_pending(engine, NOW)
    assert find(engine, claims("early")).status == "refused"
    for request_id in ("a", "early"):
        assert record(engine, claims(request_id), None, label, NOW).status == "refused"
        assert record(engine, claims(request_id), 1.0, None, NOW) == FeedbackResult(request_id, "accepted", 1.0)


def test_feedback_may_come_before_the_log(engine, log):
    assert record(engine, claims("a"), 1.0, None, NOW) == FeedbackResult("a", "pending", 1.0)
    assert record(engine, claims("a"), 0.0, None, NOW).status == "conflict"
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS)
    assert find(engine, claims("a")).status == "pending"
    log(line("a"))
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    assert (
        find(engine, claims("a")) == record(engine, claims("a"), 1.0, None, NOW) == FeedbackResult("a", "accepted", 1.0)
    )


def test_a_request_that_is_never_logged_is_unknown(engine, log):
    assert find(engine, claims("a")).status == "unknown"
    record(engine, claims("a"), 1.0, None, NOW)
    assert record(engine, claims("a"), 1.0, None, NOW + LOG_WAIT_SECONDS + 1) == FeedbackResult("a", "unknown", 1.0)
    record(engine, claims("b"), 1.0, None, NOW)
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    assert find(engine, claims("b")) == FeedbackResult("b", "unknown", 1.0)


def test_feedback_is_not_lost_when_the_log_is_read_too_late(engine, log):
    """Control may have been down for longer than LOG_WAIT_SECONDS."""
    for request_id in "ab":
        record(engine, claims(request_id), 1.0, None, NOW)
    resolve_pending(engine, NOW + LOG_WAIT_SECONDS + 1)
    log(line("a"), line("b"))
    assert record(engine, claims("a"), 1.0, None, NOW + 99).status == "accepted"
    resolve_pending(engine, NOW + 99)
    assert find(engine, claims("b")).status == "accepted"


def test_feedback_after_the_window_is_late(engine, log):
    log(line("a"), line("b"))
    assert record(engine, claims("a"), 1.0, None, NOW + FEEDBACK_SECONDS).status == "accepted"
    assert record(engine, claims("b"), 1.0, None, NOW + FEEDBACK_SECONDS + 1).status == "late"
    assert find(engine, claims("b")).status == "unknown"
    assert record(engine, claims("a"), 1.0, None, NOW + FEEDBACK_SECONDS + 9).status == "accepted"


def test_of_two_values_at_once_one_stays(engine, log):
    log(*(line(str(number)) for number in range(20)))
    with ThreadPoolExecutor(4) as pool:
        given = [
            [pool.submit(record, engine, claims(str(number)), float(value), None, NOW) for value in range(4)]
            for number in range(20)
        ]
    for number, futures in enumerate(given):
        results = [future.result() for future in futures]
        assert sorted(each.status for each in results) == ["accepted", "conflict", "conflict", "conflict"]
        assert {each.reward for each in results} == {find(engine, claims(str(number))).reward}


def test_the_limits_are_the_documented_ones():
    assert (FEEDBACK_SECONDS, LOG_WAIT_SECONDS, MAX_REWARD) == (7 * 86_400, 60, 1e9)


def test_an_error_may_be_as_large_as_a_reward():
    def exposure(value: float) -> Exposure:
        return Exposure(prediction={"prediction": value})

    assert reward_of(exposure(0.0), "1e9", UNBOUNDED) == -1e9
    assert reward_of(exposure(0.0), "1000000001", UNBOUNDED) is None
    assert reward_of(exposure(-1.0), "1", UNBOUNDED) == -2
    assert reward_of(Exposure(prediction={"label": "7", "prediction": 8.0}), "8", UNBOUNDED) == 0
    assert reward_of(Exposure(prediction=None), "8", UNBOUNDED) is None


def test_a_refused_value_is_not_stored_and_another_can_be_given(database):
    insert_rows(database, Exposure, exposure_row("a", A))
    assert record(database, claims("a"), None, "7", NOW) == FeedbackResult("a", "refused", None, "7")
    assert find(database, claims("a")) == FeedbackResult("a", "unknown")
    assert record(database, claims("a"), 0.5, None, NOW + 1) == FeedbackResult("a", "accepted", 0.5)


def test_late_feedback_is_returned_as_it_was_sent(database):
    insert_rows(database, Exposure, exposure_row("a", A, at=-FEEDBACK_SECONDS - 1))
    assert record(database, claims("a", -FEEDBACK_SECONDS - 1), 0.5, None, NOW) == FeedbackResult("a", "late", 0.5)
    assert record(database, claims("a", -FEEDBACK_SECONDS - 1), None, "7", NOW).status == "late"


def test_pending_feedback_is_dated_by_its_arrival(database):
    """The time when the log was read does not matter."""
    record(database, claims("a"), 1.0, None, NOW)
    insert_rows(database, Exposure, exposure_row("a", A, at=0))
    resolve_pending(database, NOW + 2 * FEEDBACK_SECONDS)
    assert find(database, claims("a")) == FeedbackResult("a", "accepted", 1.0)


def test_pending_feedback_becomes_unknown_after_the_last_second(database):
    record(database, claims("a"), 1.0, None, NOW)
    assert record(database, claims("a"), 1.0, None, NOW + LOG_WAIT_SECONDS).status == "pending"
    resolve_pending(database, NOW + LOG_WAIT_SECONDS)
    assert find(database, claims("a")).status == "pending"
    assert record(database, claims("a"), 1.0, None, NOW + LOG_WAIT_SECONDS + 1).status == "unknown"


def test_resolved_feedback_does_not_change(database):
    insert_rows(database, Exposure, exposure_row("a", A, prediction={"label": "7"}))
    record(database, claims("a"), None, "7", NOW)
    resolve_pending(database, NOW + 2 * FEEDBACK_SECONDS)
    assert find(database, claims("a")) == FeedbackResult("a", "accepted", 1.0, "7")


@pytest.mark.parametrize("reward", [-0.001, 1.001, -1e9, 1e9])
def test_a_reward_outside_the_declared_bounds_is_not_stored(engine, log, reward):
    declare(engine, RewardBounds())
    for request_id in ("a", "early"):
        refused = FeedbackResult(request_id, "out_of_bounds", reward, bounds="[0, 1]")
        assert record(engine, claims(request_id), reward, None, NOW) == refused
        assert find(engine, claims(request_id)).status == "unknown"
        log(line("a"))
    assert record(engine, claims("a"), 1.0, None, NOW).status == "accepted"
    assert record(engine, claims("early"), 0.0, None, NOW).status == "pending"


def test_without_bounds_any_reward_counts(database):
    declare(database, None)
    insert_rows(database, Exposure, exposure_row("a", A))
    assert record(database, claims("a"), -1e9, None, NOW).status == "accepted"


@pytest.mark.parametrize(
    ("prediction", "label", "earned"),
    [
        ({"label": "7"}, "7", 5.0),
        ({"label": "7"}, "8", -20.0),
        ({"prediction": 23.5}, "20", 1.5),
        ({"prediction": 23.5}, "23.5", 5.0),
        ({"prediction": 23.5}, "1000", -20.0),
    ],
)
def test_the_reward_of_a_label_is_within_the_bounds(database, prediction, label, earned):
    declare(database, RewardBounds(low=-20, high=5))
    insert_rows(database, Exposure, exposure_row("a", A, prediction=prediction))
    assert record(database, claims("a"), None, label, NOW) == FeedbackResult("a", "accepted", earned, label)


def test_a_request_id_that_was_used_twice_is_two_requests(engine, log):
    """Each token is of one of them: neither can claim the other's."""
    log(line("first"), line("second"))
    first, second = (Claims("e", exposure, NOW, "a") for exposure in ("first", "second"))
    assert record(engine, first, 1.0, None, NOW) == FeedbackResult("a", "accepted", 1.0)
    assert record(engine, second, 0.0, None, NOW) == FeedbackResult("a", "accepted", 0.0)
