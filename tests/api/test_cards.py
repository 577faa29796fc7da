"""/v1/models: the models that are served, with cards and examples."""

import pytest

from tests.api.client import call
from tests.api.conftest import CARD


def test_every_model_has_the_card_of_each_version(application):
    a = {"name": "a", "ready": True, "default": "1.0", "versions": {"1.0": CARD, "2.0": None}}
    b = {"name": "b", "ready": False, "default": "2.0", "versions": {"2.0": None}}
    assert call(application, "GET", "/v1/models").json() == [a, b]
    assert call(application, "GET", "/v1/models/a").json() == a
    assert call(application, "GET", "/v1/models/b").json() == b


def test_a_model_that_is_not_ready_is_listed_so(application):
    application.state.reconciler.models["a"].ready = False
    assert call(application, "GET", "/v1/models/a").json()["ready"] is False


def test_the_example_can_be_posted_as_it_is(application):
    response = call(application, "GET", "/v1/models/a/example")
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        200,
        b'{"x": 1}',
        "application/json",
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/models/c", "c is not served"),
        ("/v1/models/c/example", "c is not served"),
        ("/v1/models/b/example", "b gives no example"),
    ],
)
def test_an_unknown_model_or_example_is_a_404(application, path, message):
    response = call(application, "GET", path)
    assert response.status_code == 404
    assert response.json() == {"code": 404, "type": "NotFoundException", "message": message}
