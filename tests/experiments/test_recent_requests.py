"""Requests since the last change of the weights, each counted once."""

from marina.experiments import guardrail
from marina.experiments.database import Exposure
from marina.experiments.guardrail import (
    MAX_REQUEST_SECONDS,
    SHORT_SECONDS,
    WINDOW_SECONDS,
    RecentRequests,
    request_stats,
)
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, exposure_row, insert_rows


def counted(requests) -> dict[str, tuple[int, int, int]]:
    """Return requests, errors and latencies by variant."""
    windows = {name: request_stats(result) for name, result in requests.items()}
    return {name: (it.users, it.errors, len(it.seconds)) for name, it in windows.items()}


def test_polls_add_up_and_late_lines_are_counted(engine):
    poll = RecentRequests(engine, "e", NOW).poll
    insert_rows(
        engine,
        Exposure,
        exposure_row("before", A, at=-1),
        exposure_row("1", A, at=1),
        exposure_row("2", B, at=2, status=500),
    )
    assert counted(poll(NOW + 5)) == {A: (1, 0, 1), B: (1, 1, 0)}
    assert counted(poll(NOW + 5)) == {A: (1, 0, 1), B: (1, 1, 0)}
    insert_rows(engine, Exposure, exposure_row("3", B, at=4))  # began before the last poll, and ended after it
    assert counted(poll(NOW + 10)) == {A: (1, 0, 1), B: (2, 1, 1)}
    later = MAX_REQUEST_SECONDS + 100
    insert_rows(
        engine,
        Exposure,
        exposure_row("4", B, at=later, source="fallback", variant=A),
        exposure_row("other", A, 5, experiment="f"),
    )
    assert counted(poll(NOW + later)) == {A: (1, 0, 1), B: (3, 2, 1)}
    assert counted(poll(NOW + later + MAX_REQUEST_SECONDS + 1)) == {A: (1, 0, 1), B: (3, 2, 1)}


def test_settled_requests_are_not_read_again(engine, monkeypatch):
    starts = []
    usual = guardrail.queries.requests
    monkeypatch.setattr(
        guardrail.queries,
        "requests",
        lambda engine, name, since: starts.append(since) or usual(engine, name, since),
    )
    it = RecentRequests(engine, "e", NOW)
    for now in (1, 100, 200):
        it.poll(NOW + now)
    assert starts == [NOW, NOW, NOW + 100 - MAX_REQUEST_SECONDS]


def test_counting_starts_again_after_an_hour(engine):
    it = RecentRequests(engine, "e", NOW)
    insert_rows(engine, Exposure, exposure_row("1", A, at=1, status=500))
    assert counted(it.poll(NOW + 2)) == {A: (1, 1, 0)}
    assert counted(it.poll(NOW + WINDOW_SECONDS + 1)) == {}
    insert_rows(engine, Exposure, exposure_row("2", A, at=WINDOW_SECONDS + 2))
    assert counted(it.poll(NOW + WINDOW_SECONDS + 3)) == {A: (1, 0, 1)}
    assert request_stats(None).users == 0


def test_the_window_ends_after_its_last_second(database):
    it = RecentRequests(database, "e", NOW)
    insert_rows(database, Exposure, exposure_row("1", A, at=1), exposure_row("2", A, at=0.5))
    assert counted(it.poll(NOW + WINDOW_SECONDS)) == {A: (2, 0, 2)}
    assert counted(it.poll(NOW + WINDOW_SECONDS + 1)) == {}
    insert_rows(database, Exposure, exposure_row("3", A, at=WINDOW_SECONDS + 1))
    assert counted(it.poll(NOW + 2 * WINDOW_SECONDS + 1)) == {A: (1, 0, 1)}
    assert (MAX_REQUEST_SECONDS, WINDOW_SECONDS) == (60, 3600)


def test_requests_at_the_horizon_are_counted_once(database):
    it = RecentRequests(database, "e", NOW)
    insert_rows(
        database,
        Exposure,
        exposure_row("1", A, at=40),
        exposure_row("2", A, at=39),
        exposure_row("3", A, at=41, seconds=None),
    )
    for now in (100, 100, 200):
        assert counted(it.poll(NOW + now)) == {A: (3, 0, 2)}
    assert it.poll(NOW + 200)[A].at.tolist() == [NOW + 39, NOW + 40, NOW + 41]


def test_stats_without_requests_are_zeros():
    it = request_stats(None)
    assert (it.users, it.errors, it.seconds.tolist()) == (0, 0, [])


def test_a_user_counts_once_in_a_window_with_the_first_request(database):
    it = RecentRequests(database, "e", NOW)
    rows = [exposure_row(f"{at}", A, at=at, unit="flood", status=500 if at < 40 else 200) for at in range(10, 110)]
    insert_rows(database, Exposure, *rows, exposure_row("other", A, at=100, seconds=0.5))
    requests = it.poll(NOW + 110)
    assert len(requests[A].at) == 101
    assert it.window_start(WINDOW_SECONDS, NOW + 110) == NOW
    assert it.window_start(SHORT_SECONDS, NOW + 110) == NOW + 60
    assert counted(requests) == {A: (2, 1, 1)}
    stats = request_stats(requests[A], NOW + 60)
    assert (stats.users, stats.errors, sorted(stats.seconds)) == (2, 0, [0.025, 0.5])
