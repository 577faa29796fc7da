"""The shim: what it sends to the fork server, and how it ends."""

import os
import socket
import sys
import threading

import pytest

from marina.serving.forkserver import shim
from marina.serving.forkserver.child import receive

SCRIPT = "/lib/ts/model_service_worker.py"


def test_a_request_is_what_a_child_reads(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAME", "a=b \udce9")
    message = shim.request([SCRIPT, "--x", "\u597d"])
    assert int.from_bytes(message[:8], "big") == len(message) - 8
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: socket.send_fds(ours, [message], [0, 1, 2]))
        sender.start()
        found = receive(theirs)
        sender.join()
    assert (found.folder, found.argv) == (os.fsencode(tmp_path), [SCRIPT, "--x", "\u597d"])
    assert found.environment == dict(os.environb)
    assert len(found.descriptors) == 3
    for descriptor in found.descriptors:
        os.close(descriptor)


@pytest.fixture
def server(tmp_path):
    """`server(response)`: a fork server that reads a request and sends `response` in pieces, or hangs up for None."""
    threads = []

    def serve(response: list[bytes] | None) -> str:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path := str(tmp_path / "s"))
        listener.listen()

        def respond() -> None:
            connection, _ = listener.accept()
            with listener, connection:
                if response is None:
                    return
                for descriptor in receive(connection).descriptors:
                    os.close(descriptor)
                for part in response:
                    connection.sendall(part)

        threads.append(threading.Thread(target=respond))
        threads[0].start()
        return path

    yield serve
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ([b"forked\n", b"7\n"], 7),
        ([b"for", b"ked\n0\n"], 0),
        ([b"forked\n7\n9\n"], 7),
        ([b"forked\n"], 137),  # it was killed, and its code is unknown
        ([b"error\n1\n"], None),
        ([], None),
        (None, None),
    ],
)
def test_the_code_of_the_child_is_that_of_the_server(server, response, code):
    assert shim.forked(server(response), [SCRIPT, "x" * 500_000]) == code


def test_without_a_server_there_is_no_child(tmp_path):
    assert shim.forked(str(tmp_path / "none"), [SCRIPT]) is None


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the shim slept; time passes only then."""
    slept: list[float] = []
    monkeypatch.setattr(shim.time, "sleep", slept.append)
    monkeypatch.setattr(shim.time, "monotonic", lambda: sum(slept))
    return slept


def test_a_shim_ends_as_its_child_and_tries_again_until_there_is_one(clock, monkeypatch):
    codes, requests = [None, None, 5], []
    monkeypatch.setattr(shim, "forked", lambda *of: requests.append(of) or codes.pop(0))
    with pytest.raises(SystemExit) as end:
        shim.main("/socket", SCRIPT, "--x")
    assert end.value.code == 5
    assert requests == [("/socket", [SCRIPT, "--x"])] * 3
    assert clock == [0.1, 0.1]


def test_a_shim_without_a_server_becomes_python_after_ten_seconds(clock, monkeypatch, capsys):
    became = []
    monkeypatch.setattr(shim, "forked", lambda *_: None)
    monkeypatch.setattr(shim.os, "execv", lambda *program: became.append(program))
    shim.main("/socket", SCRIPT, "--x")
    assert became == [(sys.executable, [sys.executable, SCRIPT, "--x"])]
    assert 10 <= sum(clock) < 10.2
    assert capsys.readouterr().err == "no fork server for 10 s: this worker imports everything itself\n"


@pytest.mark.parametrize("argv", [("/x/metric_collector.py", "--gpu"), ("-c", SCRIPT), ()])
def test_other_programs_are_pythons_at_once(clock, monkeypatch, argv):
    became = []
    monkeypatch.setattr(shim, "forked", lambda *_: pytest.fail("requested a child"))
    monkeypatch.setattr(shim.os, "execv", lambda *program: became.append(program))
    shim.main("/socket", *argv)
    assert became == [(sys.executable, [sys.executable, *argv])]


def test_a_shim_whose_server_confines_workers_never_becomes_python(clock, monkeypatch, capsys):
    monkeypatch.setattr(shim, "forked", lambda *_: None)
    monkeypatch.setattr(shim.os, "execv", lambda *program: pytest.fail("a worker that nothing confines"))
    with pytest.raises(SystemExit) as end:
        shim.main(shim.REQUIRED, "/socket", SCRIPT, "--x")
    assert end.value.code == 1
    assert "no other worker would be confined" in capsys.readouterr().err
