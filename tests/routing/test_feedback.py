"""Feedback: what counts, and for how much."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from routing.feedback import LARGEST, PATIENCE, WINDOW, Answer, give, kept, reward_of, settle
from routing.tables import Exposure
from tests.routing.lines import NOW, line
from tests.routing.rows import A, put, request


def test_a_reward_counts_once(engine, log):
    log(line("a"))
    first = give(engine, "a", 0.1, None, NOW)
    assert first == Answer("a", "accepted", 0.1)
    assert give(engine, "a", 0.1, None, NOW + 1) == first
    assert give(engine, "a", 0.2, None, NOW + 1) == Answer("a", "conflict", 0.1)
    assert give(engine, "a", None, "7", NOW + 1) == Answer("a", "conflict", 0.1)
    assert kept(engine, "a") == first


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
    give(engine, "early", None, label, NOW)
    log(line("a", prediction), line("early", prediction))
    settle(engine, NOW)
    assert give(engine, "a", None, label, NOW) == Answer("a", "accepted", earned, label)
    assert give(engine, "a", None, label, NOW) == Answer("a", "accepted", earned, label)
    assert give(engine, "a", None, "other", NOW).status == "conflict"
    assert give(engine, "a", earned, None, NOW).status == "conflict"
    assert kept(engine, "early") == Answer("early", "accepted", earned, label)


@pytest.mark.parametrize(
    ("prediction", "label"),
    [(None, "7"), *(({"prediction": 23.5}, label) for label in ("seven", "nan", "1e200"))],
)
def test_a_label_without_anything_to_compare_it_with_is_refused(engine, log, prediction, label):
    """And does not stand in the way of a reward."""
    assert give(engine, "early", None, label, NOW).status == "pending"
    log(line("a", prediction), line("early", prediction))
    settle(engine, NOW)
    assert kept(engine, "early").status == "refused"
    for request_id in ("a", "early"):
        assert give(engine, request_id, None, label, NOW).status == "refused"
        assert give(engine, request_id, 1.0, None, NOW) == Answer(request_id, "accepted", 1.0)


def test_feedback_may_come_before_the_log(engine, log):
    assert give(engine, "a", 1.0, None, NOW) == Answer("a", "pending", 1.0)
    assert give(engine, "a", 0.0, None, NOW).status == "conflict"
    settle(engine, NOW + PATIENCE)
    assert kept(engine, "a").status == "pending"
    log(line("a"))
    settle(engine, NOW + PATIENCE + 1)
    assert kept(engine, "a") == give(engine, "a", 1.0, None, NOW) == Answer("a", "accepted", 1.0)


def test_what_the_log_never_names_is_unknown(engine, log):
    assert kept(engine, "a").status == "unknown"
    give(engine, "a", 1.0, None, NOW)
    assert give(engine, "a", 1.0, None, NOW + PATIENCE + 1) == Answer("a", "unknown", 1.0)
    give(engine, "b", 1.0, None, NOW)
    settle(engine, NOW + PATIENCE + 1)
    assert kept(engine, "b") == Answer("b", "unknown", 1.0)


def test_feedback_is_not_lost_when_the_log_is_read_too_late(engine, log):
    """Control may have been away for longer than PATIENCE."""
    for request_id in "ab":
        give(engine, request_id, 1.0, None, NOW)
    settle(engine, NOW + PATIENCE + 1)
    log(line("a"), line("b"))
    assert give(engine, "a", 1.0, None, NOW + 99).status == "accepted"
    settle(engine, NOW + 99)
    assert kept(engine, "b").status == "accepted"


def test_feedback_after_the_window_is_late(engine, log):
    log(line("a"), line("b"))
    assert give(engine, "a", 1.0, None, NOW + WINDOW).status == "accepted"
    assert give(engine, "b", 1.0, None, NOW + WINDOW + 1).status == "late"
    assert kept(engine, "b").status == "unknown"
    assert give(engine, "a", 1.0, None, NOW + WINDOW + 9).status == "accepted"


def test_of_two_values_at_once_one_stays(engine, log):
    log(*(line(str(number)) for number in range(20)))
    with ThreadPoolExecutor(4) as pool:
        given = [
            [pool.submit(give, engine, str(number), float(value), None, NOW) for value in range(4)]
            for number in range(20)
        ]
    for number, futures in enumerate(given):
        answers = [future.result() for future in futures]
        assert sorted(answer.status for answer in answers) == ["accepted", "conflict", "conflict", "conflict"]
        assert {answer.reward for answer in answers} == {kept(engine, str(number)).reward}


def test_the_limits_are_the_documented_ones():
    assert (WINDOW, PATIENCE, LARGEST) == (7 * 86_400, 60, 1e9)


def test_an_error_may_be_as_large_as_a_reward():
    def exposure(value: float) -> Exposure:
        return Exposure(prediction={"prediction": value})

    assert reward_of(exposure(0.0), "1e9") == -1e9
    assert reward_of(exposure(0.0), "1000000001") is None
    assert reward_of(exposure(-1.0), "1") == -2
    assert reward_of(Exposure(prediction={"label": "7", "prediction": 8.0}), "8") == 0
    assert reward_of(Exposure(prediction=None), "8") is None


def test_a_refused_value_can_be_given_again_and_nothing_of_it_is_kept(database):
    put(database, Exposure, request("a", A))
    assert give(database, "a", None, "7", NOW) == Answer("a", "refused", None, "7")
    assert kept(database, "a") == Answer("a", "unknown")
    assert give(database, "a", 0.5, None, NOW + 1) == Answer("a", "accepted", 0.5)


def test_late_feedback_is_answered_with_what_was_given(database):
    put(database, Exposure, request("a", A, at=-WINDOW - 1))
    assert give(database, "a", 0.5, None, NOW) == Answer("a", "late", 0.5)
    assert give(database, "a", None, "7", NOW) == Answer("a", "late", None, "7")


def test_what_waited_is_judged_by_when_it_was_received(database):
    """Not by when the log was read."""
    give(database, "a", 1.0, None, NOW)
    put(database, Exposure, request("a", A, at=-WINDOW))
    settle(database, NOW + WINDOW)
    assert kept(database, "a") == Answer("a", "accepted", 1.0)
    give(database, "b", 1.0, None, NOW)
    put(database, Exposure, request("b", A, at=-WINDOW - 1))
    settle(database, NOW)
    assert kept(database, "b").status == "late"


def test_patience_ends_after_its_last_second(database):
    give(database, "a", 1.0, None, NOW)
    assert give(database, "a", 1.0, None, NOW + PATIENCE).status == "pending"
    settle(database, NOW + PATIENCE)
    assert kept(database, "a").status == "pending"
    assert give(database, "a", 1.0, None, NOW + PATIENCE + 1).status == "unknown"


def test_what_is_settled_stays_so(database):
    put(database, Exposure, request("a", A, prediction={"label": "7"}))
    give(database, "a", None, "7", NOW)
    settle(database, NOW + 2 * WINDOW)
    assert kept(database, "a") == Answer("a", "accepted", 1.0, "7")
