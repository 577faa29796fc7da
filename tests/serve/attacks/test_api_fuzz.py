"""Generated requests to every route of the OpenAPI document: none is answered with a 5xx, and no worker dies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.real import STARTERS

pytestmark = pytest.mark.serve
SECONDS = os.environ.get("FUZZ_SECONDS", "600")  # `make fuzz TIME=`


def fuzz(bundle: Bundle, folder: Path, *limits: str) -> int:
    """Let schemathesis send requests that follow the document, and requests that don't; return their number.

    Fails if one of them is answered with a 5xx, or not at all.
    """
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{bundle.settings.url}/openapi.json"]
    options = ["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    more = ["--request-timeout", "60", "--generation-database", "none", "--no-color", "--warnings", "off"]
    token = f"Authorization:{bundle.token('management')['Authorization']}"
    run = subprocess.run(
        [*command, *options, *more, "-H", token, *limits], capture_output=True, text=True, check=False, cwd=folder
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return int(re.search(r"(\d+) generated", run.stdout)[1])


def workers(bundle: Bundle) -> set[psutil.Process]:
    return {psutil.Process(pid) for name in STARTERS for pid in bundle.worker_pids(name)}


def attack(bundle: Bundle, folder: Path, *limits: str) -> int:
    before = workers(bundle)
    number = fuzz(bundle, folder, *limits)
    assert workers(bundle) == before
    eventually(bundle.is_ready, "everything is ready")
    return number


def test_no_generated_request_is_answered_with_a_server_error(starters: Bundle, tmp_path: Path):
    assert attack(starters, tmp_path, "--max-time", "45", "--max-examples", "4", "--seed", "1") > 100


@pytest.mark.long
def test_no_request_of_a_long_run_is_answered_with_a_server_error(starters: Bundle, tmp_path: Path):
    print(attack(starters, tmp_path, "--max-time", SECONDS, "--max-examples", "1000"), "requests")
