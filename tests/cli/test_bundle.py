"""The commands serve, stop, status and logs."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from marina.cli import bundle, checks, output
from marina.errors import MarinaError
from marina.packaging.verify import NotVerifiedError
from marina.serving import supervisor
from marina.serving.envoy import bootstrap, gateway
from marina.serving.reconciler import desired_state, verified_store
from marina.serving.reconciler.model_store import archives
from marina.serving.reconciler.status import ServerStatus
from marina.serving.torchserve import process
from tests.cli.bundle_status import status_of, version
from tests.serving.archive_files import write_mar


@pytest.fixture
def steps(monkeypatch, settings, printed):
    """Steps of `marina serve` in order; `steps.status` is the final status."""
    made = SimpleNamespace(calls=[], status=status_of({"1.0": version()}))
    monkeypatch.setattr(bundle.os, "umask", lambda mask: None)
    for module, name in (
        (checks, "before_start"), (process, "render"), (bootstrap, "render"), (gateway, "close"), (supervisor, "start")
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda of, *_, it=f"{module.__name__}.{name}": made.calls.append((it, of)))
    monkeypatch.setattr(output, "watch", lambda of: made.status)
    return made


def test_serve_serves_what_is_signed_and_names_what_is_not(settings, steps, printed):
    write_mar(settings, "cat", "1.0")
    write_mar(settings, "cat", "2.0", signed=False)
    write_mar(settings, "dog", "1.0")
    bundle.serve(["cat"])
    desired = desired_state.load(settings).models
    assert {name: (model.default, list(model.versions)) for name, model in desired.items()} == {
        "cat": ("1.0", ["1.0", "2.0"])
    }
    assert steps.calls == [
        (f"marina.{step}", settings)
        for step in (
            "cli.checks.before_start",
            "serving.torchserve.process.render",
            "serving.envoy.bootstrap.render",
            "serving.envoy.gateway.close",
            "serving.supervisor.start",
        )
    ]
    text = printed.getvalue()
    assert "refused  cat-2.0.mar: it is not signed" in text
    assert "1 of 1 ready after" in text
    assert f"curl {settings.url}/ready" in text
    bundle.serve(None)
    assert set(desired_state.load(settings).models) == {"cat", "dog"}


def test_a_start_without_names_restores_what_was_served(settings, steps, printed):
    for each in ("1.0", "2.0"):
        write_mar(settings, "cat", each)
    bundle.serve(None)
    with desired_state.change(settings) as desired:
        desired.set_default("cat", "1.0")
        desired.drop("cat", "2.0")
    write_mar(settings, "cat", "3.0")
    bundle.serve(None)
    model = desired_state.load(settings).models["cat"]
    assert (model.default, list(model.versions)) == ("1.0", ["1.0", "3.0"])
    assert "cat 3.0 is new: no traffic until `make set-default MODEL=cat VERSION=3.0`" in printed.getvalue()


def test_a_default_whose_archive_is_gone_is_reported_and_stays(settings, steps, printed):
    for each in ("1.0", "2.0"):
        write_mar(settings, "cat", each)
    bundle.serve(None)
    (settings.store / "cat-2.0.mar").unlink()
    bundle.serve(None)
    assert desired_state.load(settings).models["cat"].default == "2.0"
    assert "refused  cat-2.0.mar: no such archive" in printed.getvalue()
    assert "cat 2.0 remains the default: /predictions/cat gets 503 until" in printed.getvalue()


def test_an_archive_named_by_its_path_is_signed_and_served(settings, steps, printed, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "print_curls", lambda *_: None)  # of cat, which the status of `steps` always has
    write_mar(settings, "cat", "1.0")
    bundle.serve(None)
    foreign = write_mar(settings, "bee", signed=False).rename(tmp_path / "bee.mar")
    bundle.serve([str(foreign)])
    state = desired_state.load(settings)
    assert (list(state.models), list(state.paused)) == (["bee"], ["cat"])
    assert f"signed {settings.store}/bee-1.0.mar" in printed.getvalue()
    bundle.serve(["all"])
    assert set(desired_state.load(settings).models) == {"bee", "cat"}


def test_serve_fails_if_something_is_not_ready(settings, steps, printed):
    write_mar(settings, "cat", "1.0")
    steps.status = status_of({"1.0": version("failed", reason="why"), "2.0": version("refused", reason="because")})
    with pytest.raises(MarinaError) as failed:
        bundle.serve(["cat"])
    assert str(failed.value) == "not served:\n  cat 1.0: why\n  cat 2.0: because"
    assert "curl" not in printed.getvalue()


def test_refused_archives_with_the_reason(settings):
    write_mar(settings, "cat", "1.0")
    path = write_mar(settings, "cat", "2.0", signed=False)
    found = archives(settings.store)["cat"]
    copies = [verified_store.copy_of(settings, archive) for archive in found]
    with pytest.raises(NotVerifiedError) as refused:
        found[1].verify(settings.keys)
    assert bundle._refused(settings, copies) == {copies[1]: str(refused.value)}
    assert path.name in str(refused.value)


@pytest.mark.parametrize(("stopped", "text"), [(True, "stopped\n"), (False, "nothing was running\n")])
def test_stop_reports_whether_something_ran(settings, printed, monkeypatch, stopped, text):
    monkeypatch.setattr(supervisor, "stop", lambda of: stopped if of == settings else None)
    bundle.stop()
    assert printed.getvalue().endswith(text)


def test_status_shows_processes_and_models_and_fails_if_not_ready(settings, running, printed, monkeypatch):
    entry = {"statename": "RUNNING", "description": "pid 5"}
    monkeypatch.setattr(supervisor, "programs", lambda of: {"envoy": entry} if of == settings else {})
    running.found = [status_of({"1.0": version("ready", "READY")})]
    bundle.status()
    for text in ("process", "state", "since", "envoy", "RUNNING", "pid 5", "/predictions/cat"):
        assert text in printed.getvalue()
    running.found = [None]
    with pytest.raises(MarinaError) as silent:
        bundle.status()
    assert str(silent.value) == f"control does not respond; see {settings.logs}"
    running.found = [status_of({"1.0": version("failed", reason="why")}, envoy=ServerStatus(ready=False, reason="e"))]
    with pytest.raises(MarinaError) as failed:
        bundle.status()
    assert str(failed.value) == "not ready:\n  e\n  cat 1.0: why"


def test_status_is_printed_as_json_for_scripts(running, capsys):
    running.found = [status_of({"1.0": version("failed", reason="why")})]
    with pytest.raises(MarinaError, match=r"cat 1\.0: why"):
        bundle.status(as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["models"]["cat"]["versions"]["1.0"]["state"] == "failed"


def test_logs_are_followed_without_their_control_characters(settings, monkeypatch, capsys):
    with pytest.raises(MarinaError) as none:
        bundle.logs()
    assert str(none.value) == f"no logs in {settings.logs}: `make serve` first"
    for name in ("b.out", "a.log", "c.err", "d.txt"):
        (settings.logs / name).touch()
    (settings.logs / "a.log").write_bytes(b'{"request_id": "a\x1b[2J\xc2\x9b31m\xff"}\n')  # clients choose the id
    started, popen = [], subprocess.Popen

    def follow(command, **options):
        started.append(command)
        return popen(["cat", *command[4:]], **options)  # ends, unlike tail

    monkeypatch.setattr(bundle.subprocess, "Popen", follow)
    bundle.logs()
    files = [str(settings.logs / name) for name in ("a.log", "b.out", "c.err")]
    assert started == [["tail", "-n", "20", "-F", *files]]
    assert capsys.readouterr().out == '{"request_id": "a\\x1b[2J\\x9b31m\ufffd"}\n'


def test_one_port_moves_the_whole_bundle(settings, steps, monkeypatch):
    write_mar(settings, "cat")
    for name in settings.ports:
        monkeypatch.delenv(f"MARINA_{name.upper()}")
    monkeypatch.setenv("MARINA_MANAGEMENT_PORT", "5000")
    bundle.serve(None, port=8800)
    used = steps.calls[-1][1]
    assert (used.port, used.inference_port, used.grpc_inference_port, used.management_port) == (8800, 8880, 7870, 5000)
