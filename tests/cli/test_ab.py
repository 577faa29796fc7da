"""`marina ab`: the requests that each verb sends to control, and its output."""

import errno
import getpass
import json
import socket
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from marina.cli import experiments as command
from marina.cli import main as command_line
from marina.errors import ExperimentError, MarinaError
from tests.experiments.routing.envoy_instance import A, B, experiment

CHANGE = {
    "id": 7,
    "what": "weights",
    "state": {"experiment": experiment().with_weights({A: 89.5, B: 10.5}).model_dump()},
}
APPLIED = f"digits: weights (change 7): {A} 89.5 %, {B} 10.5 %, applied by Envoy\n"
WHO = f"{getpass.getuser()}@{socket.gethostname()}"
YAML = """
digits:
  variants: [{model: a, version: 1.0, weight: 90}, {model: b, version: 2.0, weight: 10}]
  control: a@1.0
  seed: 7
"""


@pytest.fixture
def control(tmp_path, monkeypatch):
    """Control, which returns `response`; the requests that it got are in `requests`."""
    monkeypatch.setenv("MARINA_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("MARINA_PORT", "4321")
    keys = tmp_path / "var" / "run" / "key_file.json"
    keys.parent.mkdir(parents=True)
    keys.write_text('{"inference": {"key": "i"}, "management": {"key": "m"}}')
    it = SimpleNamespace(requests=[], response=httpx.Response(200, json=CHANGE), keys=keys)

    def send(request: httpx.Request) -> httpx.Response:
        it.requests.append(request)
        if isinstance(it.response, Exception):
            raise it.response
        return it.response

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: send(request))
    return it


def content(request: httpx.Request):
    return json.loads(request.content) if request.content else None


def do(*arguments: str) -> str:
    done = CliRunner().invoke(command.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(
    ("arguments", "method", "path", "order"),
    [
        (["weights", "digits", f"{A}=89.5 {B}=10.5"], "PUT", "/digits/weights", {"weights": {A: 89.5, B: 10.5}}),
        (["weights", "digits", "a=b@1=100"], "PUT", "/digits/weights", {"weights": {"a=b@1": 100.0}}),
        (["promote", "digits", B], "POST", "/digits/promote", {"variant": B}),
        (["rollback", "digits"], "POST", "/digits/rollback", {}),
        (["mirror", "digits", B, "2.5"], "PUT", "/digits/mirror", {"mirror": {"to": B, "percent": 2.5}}),
        (["stop", "digits"], "POST", "/digits/stop", {}),
    ],
)
def test_each_verb_is_one_request(control, arguments, method, path, order):
    assert do(*arguments, "--why", "so") == APPLIED
    (request,) = control.requests
    assert (request.method, str(request.url)) == (method, f"http://control/v1/experiments{path}")
    assert content(request) == {"who": WHO, "why": "so", **order}
    assert request.headers["authorization"] == "Bearer m"
    assert request.extensions["timeout"]["read"] == 120
    do(*arguments)
    assert content(control.requests[1])["why"] == ""


def test_an_experiment_of_the_file_is_started(control, tmp_path):
    file = tmp_path / "experiments.yaml"
    file.write_text(YAML)
    output = do("create", "digits", "--file", str(file), "--why", "to see")
    url = "http://127.0.0.1:4321/predictions/digits"
    assert output == f"{APPLIED}try it: curl -i {url} -H 'X-User-Id: somebody' ...\n"
    (request,) = control.requests
    assert (request.method, str(request.url)) == ("POST", "http://control/v1/experiments")
    spec = experiment().model_dump(mode="json")
    assert content(request) == {"who": WHO, "experiment": spec, "why": "to see"}


@pytest.mark.parametrize(("text", "known"), [(YAML, "digits"), ("", "none")])
def test_an_experiment_that_the_file_does_not_have(control, tmp_path, text, known):
    file = tmp_path / "experiments.yaml"
    file.write_text(text)
    with pytest.raises(MarinaError) as caught:
        do("create", "letters", "--file", str(file))
    assert str(caught.value) == f"{file} has no experiment letters; there are: {known}"
    assert control.requests == []


@pytest.mark.parametrize("shares", ["a@1.0", "a@1.0=much", "a@1.0=1 b"])
def test_weights_that_cannot_be_read(control, shares):
    with pytest.raises(MarinaError) as caught:
        do("weights", "digits", shares)
    assert str(caught.value) == f'WEIGHTS="{shares}": it must be like "resnet18@1.0=80 mobilenet_v1@1.0=20"'
    assert control.requests == []


def test_without_an_experiment_the_output_is_how_to_start_one(control):
    control.response = httpx.Response(200, json=[])
    assert do("show") == "no experiment runs; `make ab-create EXP=` starts one of experiments.yaml\n"
    (request,) = control.requests
    assert (request.method, str(request.url), content(request)) == ("GET", "http://control/v1/experiments", None)


def test_experiments_are_printed_as_json_for_scripts(control):
    control.response = httpx.Response(200, json=[{"experiment": "digits"}])
    assert json.loads(do("show", "--json")) == [{"experiment": "digits"}]


def test_the_report_is_saved(control, tmp_path):
    control.response = httpx.Response(200, content=b"<html>")
    file = tmp_path / "var" / "reports" / "digits.html"
    assert do("report", "digits") == f"{file}\n"
    assert file.read_bytes() == b"<html>"
    (request,) = control.requests
    assert (request.method, str(request.url)) == ("GET", "http://control/v1/experiments/digits/report")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(400, json={"message": "it is wrong"}), "it is wrong"),
        (httpx.Response(500, json={"code": 500}), '{"code":500}'),
        (httpx.ConnectError("refused"), "control does not respond (refused): `make status`"),
    ],
)
def test_the_message_of_control_is_raised(control, response, message):
    control.response = response
    with pytest.raises(MarinaError) as caught:
        command.call("GET")
    assert str(caught.value) == message


def test_without_a_running_bundle_the_message_is_to_start_one(control):
    control.keys.unlink()
    with pytest.raises(MarinaError, match=r"^nothing is running: `make serve` first$"):
        command.call("GET")
    assert control.requests == []


@pytest.mark.parametrize("error", [MarinaError("[red] is wrong: " + "long " * 60), ExperimentError("[red] is wrong")])
def test_an_error_is_one_line_without_a_traceback(monkeypatch, capsys, error):
    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{error}\n")


@pytest.mark.parametrize("place", [None, "artifacts/x"])
def test_a_full_disk_is_one_line_without_a_traceback(monkeypatch, capsys, place):
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", place)

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == 1
    named = " (artifacts/x)" if place else ""
    expected = f"No space left on device{named}. What was finished before is kept: free some space, and run"
    assert capsys.readouterr().err.startswith(expected)


def test_other_errors_of_the_system_keep_their_traceback(monkeypatch):
    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "var")

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(PermissionError):
        command_line.main()


def test_errors_are_red_on_a_terminal(monkeypatch, capsys):
    def fail() -> None:
        raise MarinaError("port 8000 is taken")

    monkeypatch.setattr(command_line, "app", fail)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with pytest.raises(SystemExit):
        command_line.main()
    assert capsys.readouterr().err == "\x1b[31mport 8000 is taken\x1b[0m\n"


def test_control_characters_in_a_reason_are_escaped(control):
    control.response = httpx.Response(200, json={**CHANGE, "what": "weights\x1b[2J"})
    assert r"weights\x1b[2J (change 7)" in do("stop", "digits")
