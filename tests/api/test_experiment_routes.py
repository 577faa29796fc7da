"""/v1/experiments: every operation, and the token that it needs."""

import pytest

from marina.experiments import history
from tests.api.client import call
from tests.experiments.routing.envoy_instance import A, B, experiment

TOKEN = {"Authorization": "Bearer management-key"}
NAME = "/v1/experiments/digits"


@pytest.fixture
def do(experimenting):
    """`do(method, path, **order)`: the JSON of a request that succeeds, or the status and message of an error."""

    def send(method: str, path: str, **order):
        response = call(experimenting, method, path, headers=TOKEN, **({"json": order} if order else {}))
        return (response.status_code, response.json()["message"]) if response.is_error else response.json()

    return send


@pytest.fixture
def created(do) -> dict:
    return do("POST", "/v1/experiments", experiment=experiment().model_dump(mode="json"), who="me", why="to see")


def weights(change: dict) -> list[float]:
    return [each["weight"] for each in change["state"]["experiment"]["variants"]]


@pytest.mark.parametrize("authorization", [None, "", "Bearer inference-key", "management-key", "bearer management-key"])
def test_only_the_management_token_is_accepted(experimenting, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/v1/experiments"), ("POST", f"{NAME}/stop"), ("GET", f"{NAME}/report")):
        response = call(experimenting, method, path, headers=headers)
        assert response.status_code == 401
        assert response.json() == {
            "code": 401,
            "type": "UnauthorizedException",
            "message": "the management token is missing or wrong: `make token`",
            "field": "Authorization",
        }
    assert call(experimenting, "GET", "/v1/experiments", headers=TOKEN).json() == []


def test_without_a_token_file_it_is_a_503(experimenting, settings):
    settings.key_file.unlink()
    response = call(experimenting, "GET", "/v1/experiments", headers=TOKEN)
    assert (response.status_code, response.json()["message"]) == (503, "TorchServe is starting: there is no token yet")


def test_without_a_database_it_is_a_503(application):
    response = call(application, "GET", "/v1/experiments", headers=TOKEN)
    message = "the database of the experiments does not answer: see the log of control"
    assert (response.status_code, response.json()["message"]) == (503, message)


def test_all_operations_on_an_experiment(do, created):
    assert (created["what"], created["who"], created["why"], weights(created)) == ("create", "me", "to see", [90, 10])
    moved = do("PUT", f"{NAME}/weights", weights={A: 70, B: 30}, who="you")
    assert (moved["what"], moved["who"], moved["why"], weights(moved)) == ("weights", "you", "", [70, 30])
    mirrored = do("PUT", f"{NAME}/mirror", mirror={"to": B, "percent": 5}, why="copies")
    assert (mirrored["what"], mirrored["who"], mirrored["why"]) == ("mirror", "unknown", "copies")
    assert mirrored["state"]["experiment"]["mirror"] == {"to": B, "percent": 5}
    promoted = do("POST", f"{NAME}/promote", variant=B, who="you", why="it won")
    assert (promoted["what"], promoted["who"], promoted["why"], weights(promoted)) == (
        "promote",
        "you",
        "it won",
        [0, 100],
    )
    back = do("POST", f"{NAME}/rollback")
    assert (back["what"], back["who"], back["restored"], weights(back)) == (
        "rollback",
        "unknown",
        mirrored["id"],
        [70, 30],
    )
    assert [each["experiment"] for each in do("GET", "/v1/experiments")] == ["digits"]
    stopped = do("POST", f"{NAME}/stop", who="me", why="enough")
    assert (stopped["what"], stopped["who"], stopped["why"], stopped["state"]["running"]) == (
        "stop",
        "me",
        "enough",
        False,
    )
    assert do("GET", "/v1/experiments") == []
    known = do("GET", NAME)
    assert [each["what"] for each in known["history"]] == [
        "stop",
        "rollback",
        "promote",
        "mirror",
        "weights",
        "create",
    ]
    assert known["history"][0] == stopped
    assert (known["summary"]["experiment"], known["summary"]["running"]) == ("digits", False)
    assert known["summary"]["last_change"]["what"] == "stop"
    assert known["summary"]["at"] >= known["summary"]["since"] > 1.7e9


def test_a_creation_is_a_201(experimenting):
    order = {"experiment": experiment().model_dump(mode="json")}
    response = call(experimenting, "POST", "/v1/experiments", headers=TOKEN, json=order)
    assert response.status_code == 201


def test_an_unknown_experiment_is_a_404(do):
    assert do("GET", NAME) == (404, "there is no experiment digits")
    assert do("GET", f"{NAME}/report") == (404, "there is no experiment digits")
    assert do("POST", f"{NAME}/stop") == (404, "no experiment digits runs")


@pytest.mark.parametrize(
    ("method", "path", "order", "message"),
    [
        (
            "POST",
            "/v1/experiments",
            {"experiment": {"name": "x"}},
            "x: variants: Field required\nx: control: Field required",
        ),
        ("POST", "/v1/experiments", {"experiment": {"name": 7, "control": "c", "variants": []}}, "7: name: "),
        ("POST", "/v1/experiments", {"experiment": {}}, "experiment: name: Field required"),
        ("PUT", f"{NAME}/weights", {"weights": {A: 60}}, "digits: variants: the weights add up to 60, not to 100"),
        ("PUT", f"{NAME}/weights", {"weight": {A: 60}}, "weights: Field required"),
        ("POST", f"{NAME}/promote", {"variant": "c@3"}, "digits: c@3 is none of its variants: a@1.0, b@2.0"),
        ("POST", f"{NAME}/stop", {"because": "so"}, "because: Extra inputs are not permitted"),
        ("POST", f"{NAME}/stop", {"why": "x" * 1001}, "why: String should have at most 1000 characters"),
        ("POST", f"{NAME}/stop", {"why": "\0"}, "why: String should match pattern"),
        ("POST", f"{NAME}/stop", {"who": ""}, "who: String should match pattern"),
    ],
)
def test_an_invalid_request_changes_nothing(do, created, experimenting, method, path, order, message):
    status, text = do(method, path, **order)
    assert status == 400
    assert text.startswith(message)
    assert len(history.changes(experimenting.state.engine, "digits")) == 1


def test_a_rollback_has_nothing_before_the_creation(do, created):
    assert do("POST", f"{NAME}/rollback") == (409, "digits: there is nothing before to go back to")


def test_the_report_is_a_page(experimenting, created):
    response = call(experimenting, "GET", f"{NAME}/report", headers=TOKEN)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>digits - experiment</title>" in response.text
    assert "to see" in response.text
