"""The load test runs, checks what comes back, and leaves its report."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from marina.settings import ROOT
from tests.serve.support.real import STARTERS

pytestmark = pytest.mark.serve


def locust(host: str, models: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("locust"), "--headless", "--users", "6", "--spawn-rate", "6"]
    command += ["--run-time", "8s", "--only-summary", "--html", folder / "report.html", "--csv", folder / "report"]
    environment = {**os.environ, "HOST": host, "MODELS": " ".join(models)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "report_stats.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_load_test_sends_requests_to_every_model_and_reports_no_failure(starters, tmp_path):
    done = locust(starters.settings.url, STARTERS, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = rows_of(tmp_path)
    total = rows[-1]
    assert int(total["Request Count"]) > 20
    assert int(total["Failure Count"]) == 0
    tasks = {row["Name"].rsplit("/", 1)[1] for row in rows if row["Name"].startswith("/predictions/")}
    assert len(tasks) >= 3
    for name in STARTERS:
        assert re.search(rf"{name} +\w+ [\d.]+,.* of \d+ responses", done.stderr), name
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_load_test_fails_when_responses_do(starters, tmp_path):
    """Bodies are read: a model that is not there is a failure, with a status of its own."""
    starters.do("retire", "lenet", "1.0")
    try:
        done = locust(starters.settings.url, ["lenet"], tmp_path)
    finally:
        starters.do("register", "lenet", "1.0")
    assert done.returncode != 0
    total = rows_of(tmp_path)[-1]
    assert int(total["Failure Count"]) == int(total["Request Count"]) > 0
