"""The fork server by itself: a child runs code as a fresh Python would, and ends with its shim."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from marina.settings import ROOT
from tests.serve.support.bundle import eventually
from tests.serve.support.fork_server_harness import ForkServerHarness, pid_of

pytestmark = [
    pytest.mark.serve,
    pytest.mark.skipif(sys.platform != "linux", reason="no fork server elsewhere than on Linux"),
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServerHarness]:
    harness = ForkServerHarness(tmp_path_factory.mktemp("f"))
    with harness.server():
        yield harness


FOUND = """
import json, locale, os, signal, sys, tempfile, threading
ts = os.path.dirname(os.path.realpath(__file__))
umask = os.umask(0)
print(json.dumps({
    "argv": sys.argv, "name": __name__, "main": sys.modules["__main__"].__dict__ is globals(),
    "path": [folder for folder in sys.path if folder != ts], "folder": os.getcwd(), "temporary": tempfile.gettempdir(),
    "environment": {name: value for name, value in os.environ.items() if name != "_"},
    "stdin": sys.stdin.read(), "umask": umask, "locale": locale.setlocale(locale.LC_ALL),
    "handlers": [str(signal.getsignal(each)) for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE)],
    "blocked": [str(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "wakeup": signal.set_wakeup_fd(-1), "tasks": len(os.listdir("/proc/self/task")),
    "threads": threading.active_count(),
    "ours": sorted(set(sys.modules) & {"marina", "marina.serving.forkserver", "handlers", "models"}),
}))
"""


def test_a_child_finds_what_a_fresh_python_finds(harness: ForkServerHarness, tmp_path: Path):
    output, errors, code = harness.run(FOUND, tmp_path, NAME="with an = and a \udce9", TMPDIR=str(tmp_path))
    assert code == 0, errors
    command = [sys.executable, *json.loads(output)["argv"]]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:",
        "NAME": "with an = and a \udce9",
        "TMPDIR": str(tmp_path),
    }
    fresh = subprocess.run(command, cwd=tmp_path, env=environment, input="typed", capture_output=True, text=True)
    expected = json.loads(fresh.stdout)
    # An editable install puts the checkout on the path of every process; archives must not find their code there.
    expected["path"] = [folder for folder in expected["path"] if folder != str(ROOT)]
    assert json.loads(output) == expected
    assert json.loads(output)["path"][0] == str(tmp_path)


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('why')", 1, "why"),
        ("raise ValueError('why')", 1, "ValueError: why"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", 137, ""),
        ("import os; os.kill(os.getpid(), 11)", 139, ""),
    ],
)
def test_the_shim_ends_as_the_child(harness: ForkServerHarness, code: str, expected: int, message: str):
    output, errors, returned = harness.run(f"print('output', end='', flush=True)\n{code}")
    assert (output, returned) == ("output", expected)
    assert message in errors


def test_each_child_has_random_numbers_of_its_own(harness: ForkServerHarness):
    code = "import random, numpy, torch; print(random.random(), numpy.random.rand(), float(torch.rand(1)))"
    drawn = [harness.run(code)[0].split() for _ in range(2)]
    assert len({*drawn[0], *drawn[1]}) == 6, drawn


@pytest.mark.parametrize("name", ["handlers", "models", "serving", "archive"])
def test_an_import_finds_what_the_archive_brings(harness: ForkServerHarness, tmp_path: Path, name: str):
    code = f"import {name}; print({name}.__file__)"
    assert f"ModuleNotFoundError: No module named '{name}'" in harness.run(code, tmp_path)[1]
    brought = tmp_path / name / "__init__.py"
    brought.parent.mkdir()
    brought.touch()
    assert harness.run(code, tmp_path)[0].strip() == str(brought)


def test_what_workers_need_is_there_before_the_fork(harness: ForkServerHarness):
    code = """
    import sys
    import jieba
    print({"torch", "torchvision", "captum.attr", "safetensors.torch", "orjson", "ts.service"} - set(sys.modules))
    print(jieba.dt.initialized)
    """
    assert harness.run(code)[0].split("\n")[:2] == ["set()", "True"]


def before_fork(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code`, and then the steps of the server before it forks."""
    program = (
        f"import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; from marina.serving.forkserver import server\n{code}"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )


def test_nothing_queries_cuda_before_the_fork():
    """Even a query for a GPU opens the driver, which no fork survives."""
    patch = "import torch\ndef fail(*_): os._exit(9)\ntorch.cuda.is_available = torch._C._cuda_getDeviceCount = fail\n"
    done = before_fork(patch + "server.preload(); server.check()")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "2 threads"),
        ("import torch; torch.cuda.is_initialized = lambda: True", "CUDA was initialised"),
    ],
)
def test_the_server_refuses_to_fork_what_would_break(code: str, why: str):
    done = before_fork(f"{code}\nserver.check()")
    assert f"RuntimeError: {why}" in done.stderr


PID = "import os, sys, time; print(os.getpid(), flush=True)\n"
# A loop in C that neither releases the interpreter's lock nor checks signals.
BUSY = PID + "import itertools; sum(itertools.repeat(1))"


def test_a_child_dies_with_its_shim_whatever_it_does(harness: ForkServerHarness):
    with harness.shim(BUSY) as shim:
        pid = pid_of(shim)
        assert psutil.Process(pid).name() == "worker-9001"
        shim.kill()
        eventually(lambda: not psutil.pid_exists(pid), "the child is gone, and no zombie")


def test_many_at_once_and_none_is_left(harness: ForkServerHarness):
    with ExitStack() as stack:
        shims = [stack.enter_context(harness.shim(f"import sys; sys.exit({code})")) for code in range(12)]
        assert [shim.wait(120) for shim in shims] == list(range(12))
    with harness.shim(BUSY) as shim:
        pid = pid_of(shim)
        server = psutil.Process(pid).parent()
        assert server.num_threads() == 1
        assert [each.pid for each in server.children()] == [pid]
        shim.kill()
        eventually(lambda: not server.children(), "no child, and no zombie")


def test_children_outlive_their_server_and_shims_wait_for_the_next(tmp_path: Path):
    harness = ForkServerHarness(tmp_path)
    with (
        harness.shim(PID + "time.sleep(1000)") as late,  # before there is a server
        harness.server() as server,
        harness.shim(PID + "sys.stdin.read(); sys.exit(5)") as ends,
    ):
        killed, ending = pid_of(late), pid_of(ends)
        assert {psutil.Process(pid).ppid() for pid in (killed, ending)} == {server.pid}
        os.killpg(server.pid, signal.SIGKILL)  # as the supervisor does
        server.wait()
        with harness.server() as successor, harness.shim(BUSY) as busy:
            assert psutil.Process(pid_of(busy)).ppid() == successor.pid
            os.kill(killed, signal.SIGKILL)
            assert late.wait(60) == 137  # though nobody could tell its shim
            assert ends.poll() is None
            ends.stdin.close()
            assert ends.wait(60) == 5


def test_without_a_server_the_real_python_runs(tmp_path: Path):
    code = "import sys; print(sys.flags.isolated, sys.argv[1:2], 'torch' in sys.modules); sys.exit(4)"
    output, errors, returned = ForkServerHarness(tmp_path).run(code)
    assert (output, returned) == ("0 ['--sock-type'] False\n", 4)
    assert "no fork server for 10 s" in errors


def test_other_scripts_run_with_the_real_python(harness: ForkServerHarness, tmp_path: Path):
    script = tmp_path / "metric_collector.py"
    script.write_text("import os, sys; print(os.getpid(), sys.argv[1:], sys.stdin.read(), sys.flags.isolated)")
    python = [sys.executable, "-IS", ROOT / "marina" / "serving" / "forkserver" / "shim.py", harness.socket]
    for command in ([script, "--gpu", "0"], ["-c", script.read_text(), "--gpu", "0"]):
        process = subprocess.Popen([*python, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.communicate("in")[0] == f"{process.pid} ['--gpu', '0'] in 0\n"
