"""What the guard looks at: all that happened since the weights were moved, each request once."""

from routing import lookout
from routing.lookout import LONGEST_SECONDS, WINDOW_SECONDS, Lookout, window
from routing.tables import Exposure
from tests.routing.lines import NOW
from tests.routing.rows import A, B, put, request


def counted(requests) -> dict[str, tuple[int, int, int]]:
    """By variant: requests, errors, latencies."""
    windows = {name: window(found) for name, found in requests.items()}
    return {name: (it.requests, it.errors, len(it.seconds)) for name, it in windows.items()}


def test_looks_add_up_and_late_lines_are_not_missed(engine):
    look = Lookout(engine, "e", NOW).look
    put(engine, Exposure, request("before", A, at=-1), request("1", A, at=1), request("2", B, at=2, status=500))
    assert counted(look(NOW + 5)) == {A: (1, 0, 1), B: (1, 1, 0)}
    assert counted(look(NOW + 5)) == {A: (1, 0, 1), B: (1, 1, 0)}
    put(engine, Exposure, request("3", B, at=4))  # began before the last look, and ended after it
    assert counted(look(NOW + 10)) == {A: (1, 0, 1), B: (2, 1, 1)}
    later = LONGEST_SECONDS + 100
    put(
        engine,
        Exposure,
        request("4", B, at=later, source="fallback", variant=A),
        request("other", A, 5, experiment="f"),
    )
    assert counted(look(NOW + later)) == {A: (1, 0, 1), B: (3, 2, 1)}
    assert counted(look(NOW + later + LONGEST_SECONDS + 1)) == {A: (1, 0, 1), B: (3, 2, 1)}


def test_what_is_settled_is_not_read_again(engine, monkeypatch):
    asked = []
    usual = lookout.observed.requests
    monkeypatch.setattr(
        lookout.observed, "requests", lambda engine, name, since: asked.append(since) or usual(engine, name, since)
    )
    it = Lookout(engine, "e", NOW)
    for now in (1, 100, 200):
        it.look(NOW + now)
    assert asked == [NOW, NOW, NOW + 100 - LONGEST_SECONDS]


def test_after_an_hour_it_begins_anew(engine):
    it = Lookout(engine, "e", NOW)
    put(engine, Exposure, request("1", A, at=1, status=500))
    assert counted(it.look(NOW + 2)) == {A: (1, 1, 0)}
    assert counted(it.look(NOW + WINDOW_SECONDS + 1)) == {}
    put(engine, Exposure, request("2", A, at=WINDOW_SECONDS + 2))
    assert counted(it.look(NOW + WINDOW_SECONDS + 3)) == {A: (1, 0, 1)}
    assert window(None).requests == 0


def test_the_window_ends_after_its_last_second(database):
    it = Lookout(database, "e", NOW)
    put(database, Exposure, request("1", A, at=1), request("2", A, at=0.5))
    assert counted(it.look(NOW + WINDOW_SECONDS)) == {A: (2, 0, 2)}
    assert counted(it.look(NOW + WINDOW_SECONDS + 1)) == {}
    put(database, Exposure, request("3", A, at=WINDOW_SECONDS + 1))
    assert counted(it.look(NOW + 2 * WINDOW_SECONDS + 1)) == {A: (1, 0, 1)}
    assert (LONGEST_SECONDS, WINDOW_SECONDS) == (60, 3600)


def test_what_is_just_on_the_horizon_is_counted_once(database):
    it = Lookout(database, "e", NOW)
    put(database, Exposure, request("1", A, at=40), request("2", A, at=39), request("3", A, at=41, seconds=None))
    for now in (100, 100, 200):
        assert counted(it.look(NOW + now)) == {A: (3, 0, 2)}
    assert it.look(NOW + 200)[A].at.tolist() == [NOW + 39, NOW + 40, NOW + 41]


def test_nothing_is_a_window_of_nothing():
    it = window(None)
    assert (it.requests, it.errors, it.seconds.tolist()) == (0, 0, [])
