"""The status and the message for each outcome of a feedback."""

import logging
import stat
from types import SimpleNamespace

import pytest
from fastapi import Response

from marina.api import app as command
from marina.api.exception_handlers import FieldError
from marina.api.feedback_routes import respond
from marina.experiments.feedback import FeedbackResult

UNKNOWN = "a: no feedback on this request is stored, or the request is not in the log"


@pytest.mark.parametrize(("status", "code"), [("accepted", 200), ("pending", 202)])
def test_accepted_and_pending_feedback_is_returned(status, code):
    response, result = Response(), FeedbackResult("a", status, 1.0)
    assert respond(result, response) is result
    assert response.status_code == code


@pytest.mark.parametrize(
    ("result", "code", "field", "message"),
    [
        (
            FeedbackResult("a", "unknown", 1.0),
            404,
            "request_id",
            UNKNOWN,
        ),
        (FeedbackResult("a", "late", 1.0), 410, "request_id", "a: the request is more than 7 days old"),
        (
            FeedbackResult("a", "refused", None, "7"),
            400,
            "label",
            "a: the prediction has no label, or is a number and this is none",
        ),
        (FeedbackResult("a", "conflict", 0.5), 409, "reward", "a: reward 0.5 was given before, and stays"),
        (FeedbackResult("a", "conflict", 1.0, "7"), 409, "label", "a: label '7' was given before, and stays"),
    ],
)
def test_feedback_that_is_not_accepted_is_an_error_of_its_field(result, code, field, message):
    with pytest.raises(FieldError) as caught:
        respond(result, Response())
    assert (caught.value.status_code, caught.value.field, caught.value.detail) == (code, field, message)


def test_control_listens_on_a_socket_of_this_user_alone_and_logs_no_request_twice(monkeypatch, settings):
    configured, ran = [], []
    monkeypatch.setattr(command.logging, "basicConfig", lambda **options: configured.append(options))
    settings.make_folders()
    monkeypatch.setattr(command, "Settings", lambda: settings)
    monkeypatch.setattr(command, "app", lambda settings: settings.var)
    server = SimpleNamespace(run=lambda sockets: ran.append([each.getsockname() for each in sockets]))
    fake = SimpleNamespace(Config=lambda app, **options: (app, options), Server=lambda of: ran.append(of) or server)
    monkeypatch.setattr(command, "uvicorn", fake)
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.NOTSET)
    command.main()
    assert configured == [
        {"level": logging.INFO, "format": "%(asctime)s %(levelname)-5s %(name)s - %(message)s"},
    ]
    assert logging.getLogger("httpx").level == logging.WARNING
    options = {"log_config": None, "access_log": False}
    assert ran == [(settings.var, options), [str(settings.control_socket)]]
    assert stat.S_IMODE(settings.control_socket.stat().st_mode) == 0o600
