"""The command load-test: where it sends its requests."""

from types import SimpleNamespace

import pytest
import typer

from marina.cli import benchmark


@pytest.mark.parametrize(
    ("host", "target"), [("", None), ("my-machine", None), ("http://10.0.0.1:1", "http://10.0.0.1:1")]
)
def test_the_load_test_sends_to_the_running_bundle(settings, monkeypatch, host, target):
    started = []
    monkeypatch.setenv("HOST", host)
    monkeypatch.setattr(benchmark.Path, "is_file", lambda _: True)
    monkeypatch.setattr(
        benchmark.subprocess, "run", lambda *_, env, **__: started.append(env) or SimpleNamespace(returncode=0)
    )
    monkeypatch.setattr(benchmark.selection, "select", lambda names: names)
    with pytest.raises(typer.Exit):
        benchmark.load_test(["lenet"])
    assert [(env["HOST"], env["MODELS"]) for env in started] == [(target or settings.url, "lenet")]
