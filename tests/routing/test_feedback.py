"""Feedback: what counts, and for how much."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from routing.feedback import PATIENCE, WINDOW, Answer, give, kept, settle
from tests.routing.lines import NOW, line


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
