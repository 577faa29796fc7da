"""The history of experiments, in both kinds of database."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, literal, update
from sqlalchemy.exc import DBAPIError

from marina.errors import ConflictError, NothingToRollBackError
from marina.experiments import history
from marina.experiments.database import ChangeRow, write_session
from marina.experiments.history import State
from marina.experiments.spec import Experiment
from marina.experiments.split import new_split, rebalance


def state(weight: float = 0, name: str = "e") -> State:
    """`weight` percent for m@2.0."""
    variants = [
        {"model": "m", "version": "1.0", "weight": 100 - weight},
        {"model": "m", "version": 2.0, "weight": weight},
    ]
    experiment = Experiment(name=name, control="m@1.0", variants=variants)
    return State(experiment=experiment, split=rebalance(new_split({"m@1.0": 100, "m@2.0": 0}), experiment.weights))


def follow(engine, *weights: float) -> None:
    """Append one change after the other."""
    for weight in weights:
        last = history.last(engine, "e")
        history.append(engine, state(weight), "me", "weights", f"{weight} %", after=last.id if last else 0)


def restore(engine) -> float:
    """Roll back; return the weight of m@2.0 after it."""
    history.rollback(engine, "e", "me", "worse")
    return history.current(engine)["e"].experiment.weights["m@2.0"]


def test_the_last_state_of_each_experiment_is_the_current_one(engine):
    first = history.append(engine, state(), "me", "create", "a start", after=0)
    history.append(engine, state(50, "other"), "you", "create", "another", after=0)
    stopped = state(10).model_copy(update={"running": False})
    second = history.append(engine, stopped, "me", "stop", "enough", after=first.id)
    assert history.current(engine) == {"e": stopped, "other": state(50, "other")}
    assert history.changes(engine, "e") == [second, first]
    assert history.last(engine, "e") == second
    assert history.last(engine, "none") is None
    assert (second.who, second.what, second.why, second.after, second.state) == ("me", "stop", "enough", 1, stopped)


def test_a_rollback_restores_the_state_before_exactly(engine):
    follow(engine, 0, 33.34, 50)
    before = history.changes(engine, "e")[1]
    assert history.previous(engine, "e") == before
    restored = history.rollback(engine, "e", "me", "worse")
    assert (restored.what, restored.restored, restored.state) == ("rollback", before.id, before.state)
    assert history.current(engine)["e"] == before.state


def test_rolling_back_again_goes_further_back(engine):
    follow(engine, 0, 10, 20, 30)
    assert [restore(engine) for _ in range(3)] == [20, 10, 0]
    assert history.previous(engine, "e") is None
    with pytest.raises(NothingToRollBackError, match="e: there is nothing before"):
        history.rollback(engine, "e", "me", "worse")


def test_what_was_rolled_back_is_never_restored(engine):
    follow(engine, 10, 20)
    assert restore(engine) == 10
    follow(engine, 30)
    assert restore(engine) == 10
    assert history.previous(engine, "e") is None


def test_of_two_changes_derived_from_the_same_one_is_refused(engine):
    follow(engine, 0, 10)
    history.append(engine, state(20), "me", "weights", "", after=2)
    for after in (0, 1, 2, 99):
        with pytest.raises(ConflictError, match=f"e: the last change is 3, not {after}"):
            history.append(engine, state(30), "you", "weights", "", after=after)
    assert len(history.changes(engine, "e")) == 3


def test_of_writers_at_once_one_wins_each_time(engine):
    """Each writer stores ten changes: none of them is lost."""

    def writer(who: str) -> int:
        kept = conflicts = 0
        while kept < 10:
            last = history.last(engine, "e")
            try:
                history.append(engine, state(kept), who, "weights", str(kept), after=last.id if last else 0)
                kept += 1
            except ConflictError:
                conflicts += 1
        return conflicts

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(writer, "abcd")) > 0
    result = history.changes(engine, "e")
    assert sorted((each.who, int(each.why)) for each in result) == [(who, why) for who in "abcd" for why in range(10)]
    assert [each.after for each in result] == [each.id for each in result[1:]] + [0]


@pytest.mark.parametrize("statement", [update(ChangeRow).values(why="another"), delete(ChangeRow)])
def test_a_change_is_never_overwritten_or_deleted(engine, statement):
    follow(engine, 10)
    with pytest.raises(DBAPIError, match="changes is append-only"), write_session(engine) as session:
        session.execute(statement)
    assert [each.why for each in history.changes(engine, "e")] == ["10 %"]


def test_every_field_of_a_change_is_stored(database, monkeypatch):
    monkeypatch.setattr(history, "time", SimpleNamespace(time=lambda: 1234.5))
    first = history.append(database, state(), "me", "create", "a start", after=0)
    second = history.append(database, state(9), "you", "rollback", "back", after=1, restored=1)
    assert [each.model_dump(exclude={"state"}) for each in history.changes(database, "e")] == [
        {
            "id": 2,
            "experiment": "e",
            "at": 1234.5,
            "who": "you",
            "what": "rollback",
            "why": "back",
            "after": 1,
            "restored": 1,
        },
        {
            "id": 1,
            "experiment": "e",
            "at": 1234.5,
            "who": "me",
            "what": "create",
            "why": "a start",
            "after": 0,
            "restored": None,
        },
    ]
    assert (first.state, second.state) == (state(), state(9))


def test_two_changes_after_the_same_one_conflict_in_the_database(database, monkeypatch):
    """Both may pass the check in the code; the constraint of the table refuses one."""
    follow(database, 0, 10)
    monkeypatch.setattr(history.func, "max", lambda column: literal(1))
    with pytest.raises(ConflictError, match=r"^e: another change came after 1 just now$"):
        history.append(database, state(30), "you", "weights", "", after=1)


def test_there_is_nothing_before_the_first_change(database):
    assert history.previous(database, "e") is None
    for _ in range(2):
        with pytest.raises(history.NothingToRollBackError, match=r"^e: there is nothing before to go back to$"):
            history.rollback(database, "e", "me", "worse")
        if not history.changes(database, "e"):
            follow(database, 10)


def test_a_rollback_stores_who_and_why(database):
    follow(database, 0, 10)
    done = history.rollback(database, "e", "you", "it was worse")
    assert (done.who, done.why, done.after, done.restored) == ("you", "it was worse", 2, 1)


def test_experiments_are_listed_by_name(database):
    for name in ("z", "a", "m"):
        history.append(database, state(name=name), "me", "create", "", after=0)
    assert list(history.current(database)) == ["a", "m", "z"]
