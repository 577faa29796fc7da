"""Output of commands: tables, costs, waiting for readiness, and example requests."""

import io
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from marina.cli import output
from marina.errors import MarinaError
from marina.serving import supervisor
from marina.serving.reconciler.status import BundleStatus, ModelStatus, ServerStatus
from tests.cli.bundle_status import UP, status_of, version
from tests.serving.archive_files import write_mar


def test_problems_name_versions_that_are_not_ready_except_stopped_ones():
    status = status_of(
        {"1.0": version(), "2.0": version("failed", reason="why"), "3.0": version("stopped", reason="x")}
    )
    assert output.problems(status) == ["cat 2.0: why"]


def test_the_table_of_models(settings):
    file = io.StringIO()
    found = {"1.0": version("ready", "READY", "LOADING"), "2.0": version("failed")}
    Console(file=file, width=200).print(output.table(settings, status_of(found)))
    lines = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
        for line in file.getvalue().splitlines()
    ]
    assert ["model", "version", "state", "workers", "URL"] in lines
    assert ["cat", "1.0 (default)", "ready", "1 of 2", f"{settings.url}/predictions/cat"] in lines
    assert ["cat", "2.0", "failed", "0 of 0", f"{settings.url}/predictions/cat/2.0"] in lines
    one = output.table(settings, status_of({"1.0": version("loading")}))
    assert [list(column.cells) for column in one.columns][1:3] == [["1.0"], ["[yellow]loading[/]"]]
    two = [list(column.cells) for column in output.table(settings, status_of(found)).columns]
    assert two[2] == ["[green]ready[/]", "[red]failed[/]"]


def test_the_cost_is_the_time_and_the_memory_of_workers(monkeypatch):
    sizes = {1: 10e6, 2: 30e6}

    class Process:
        def __init__(self, pid):
            if pid not in sizes:
                raise psutil.NoSuchProcess(pid)
            self.pid = pid

        def memory_full_info(self):
            return SimpleNamespace(uss=sizes[self.pid])

    monkeypatch.setattr(output.psutil, "Process", Process)
    found = {str(pid): version("ready" if pid < 3 else "failed", "READY", pid=pid) for pid in (1, 2, 3)}
    text = "2 of 3 ready after 1.5 s; each worker has 20 MB to itself, the largest 30"
    assert output.cost(status_of(found), 1.49) == text
    assert output.cost(status_of({"1.0": version("failed")}), 2) == "0 of 1 ready after 2.0 s"


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (
            status_of({str(i): version(state) for i, state in enumerate(("ready", "failed", "refused", "stopped"))}),
            True,
        ),
        *((status_of({"1": version(), "2": version(state)}), False) for state in ("waiting", "loading", "checking")),
        (status_of({"1": version()}, envoy=ServerStatus(ready=False)), False),
        (status_of({"1": version()}, up=ServerStatus(ready=False)), False),
        (status_of({}), True),
    ],
)
def test_waiting_ends_when_nothing_would_change(status, settled):
    assert output.settled(status) is settled


def test_start_is_watched_until_it_has_settled(settings, running, monkeypatch):
    slept = []
    monkeypatch.setattr(output.time, "sleep", slept.append)
    final = status_of({"1.0": version()})
    running.found = [None, status_of({"1.0": version("loading")}), final]
    assert output.watch(settings) is final
    assert slept == [0.5, 0.5]
    running.found = [None]
    with pytest.raises(MarinaError) as out:
        output.watch(settings.model_copy(update={"start_timeout": 0.01}))
    assert str(out.value) == f"not ready after 0.01 s; see `make status` and {settings.logs}"
    monkeypatch.setattr(supervisor, "process", lambda _: None)
    with pytest.raises(MarinaError) as gone:
        output.watch(settings)
    assert str(gone.value) == f"the supervisor is gone; see {settings.logs}"


@pytest.mark.parametrize(("secure", "option"), [(False, ""), (True, "-k ")])
def test_lines_to_paste_use_the_first_example(settings, printed, secure, option):
    for name in ("ant", "cat", "dog"):
        example = '{"example": {"file": "example.json", "content_type": "application/json"}}'
        archive = write_mar(settings, name, card__json="{}" if name == "ant" else example)
        archive.rename(settings.verified / archive.name)
    made = settings.model_copy(update={"cert": settings.var}) if secure else settings
    model = ModelStatus(ready=True, default="1.0", versions={"1.0": version()})
    status = BundleStatus(ready=True, torchserve=UP, envoy=UP, models=dict.fromkeys(("ant", "cat", "dog"), model))
    output.print_curls(made, status)
    file = settings.run / "cat.json"
    assert file.read_text() == '{"canary": true}'
    assert printed.getvalue().splitlines() == [
        f"curl {option}{made.url}/predictions/cat -H 'Content-Type: application/json' --data-binary @{file}",
        f"curl {option}{made.url}/ready",
    ]
