"""The commands predict, explain and token."""

import io
import json
import sys

import httpx
import pytest

from marina.cli import inference
from marina.errors import MarinaError


def post(network, verb: str, file, **options) -> httpx.Request:
    getattr(inference, verb)("cat", file, **options)
    return network.requests[-1]


def test_a_file_is_sent_and_the_answer_printed(settings, network, tmp_path, capsys):
    file = tmp_path / "x.png"
    file.write_bytes(b"png")
    network.handler = lambda request: httpx.Response(200, json={"a": "\u597d"})
    request = post(network, "predict", file)
    assert (request.method, str(request.url)) == ("POST", f"{settings.url}/predictions/cat")
    assert (request.content, request.headers["content-type"]) == (b"png", "image/png")
    assert request.extensions["timeout"]["read"] == 300
    assert json.loads(capsys.readouterr().out) == {"a": "\u597d"}
    assert str(post(network, "explain", file).url) == f"{settings.url}/explanations/cat"
    for verb, path in (("predict", "predictions"), ("explain", "explanations")):
        assert str(post(network, verb, file, version="2.0").url) == f"{settings.url}/{path}/cat/2.0"
    other = tmp_path / "x"
    other.touch()
    assert post(network, "predict", other).headers["content-type"] == "application/octet-stream"


def test_an_answer_that_is_no_json_is_written_as_it_is(settings, network, tmp_path, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    (tmp_path / "x.json").touch()
    network.handler = lambda request: httpx.Response(200, content=b"\xff", headers={"content-type": "image/png"})
    post(network, "predict", tmp_path / "x.json")
    network.handler = lambda request: httpx.Response(200, content=b"\xfe")
    post(network, "predict", tmp_path / "x.json")
    assert out.buffer.getvalue() == b"\xff\xfe"


def test_an_error_is_printed_to_stderr_and_is_an_error(settings, network, tmp_path, capsys):
    (tmp_path / "x.json").touch()
    network.handler = lambda request: httpx.Response(404, json={"message": "no cat"})
    with pytest.raises(MarinaError, match=r"^404 Not Found$"):
        inference.predict("cat", tmp_path / "x.json")
    captured = capsys.readouterr()
    assert ("no cat" in captured.err, captured.out) == (True, "")
    with pytest.raises(MarinaError, match=f"^no such file: {tmp_path}/y$"):
        inference.predict("cat", tmp_path / "y")

    def gone(request):
        raise httpx.ConnectError("refused")

    network.handler = gone
    with pytest.raises(MarinaError) as nobody:
        inference.predict("cat", tmp_path / "x.json")
    assert str(nobody.value) == f"nothing responds at {settings.url}: `make serve` first (refused)"


def test_keys_are_printed_as_headers(settings, printed):
    with pytest.raises(MarinaError, match=r"^there are no keys yet: `make serve` first$"):
        inference.token()
    settings.key_file.write_text('{"inference": {"key": "i-1"}, "management": {"key": "m-1"}}')
    inference.token()
    assert printed.getvalue().splitlines() == [
        "# inference: port 8080 and gRPC 7070",
        "Authorization: Bearer i-1",
        "# management: port 8081 and gRPC 7071",
        "Authorization: Bearer m-1",
    ]
