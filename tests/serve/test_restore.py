"""Stop and start: what was served is served again, and a version that nobody chose takes no traffic."""

import os
import subprocess
import sys

import pytest

from tests.serve.support.bundle import Bundle

pytestmark = pytest.mark.serve


def from_elsewhere(bundle: Bundle, *command: str) -> str:
    """Run a command without ports in its environment: it reads those of the running bundle."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MARINA_")}
    environment |= {"MARINA_VAR": str(bundle.settings.var), "COLUMNS": "200"}
    command = (sys.executable, "-m", "marina", *map(str, command))
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=150)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def default(bundle: Bundle) -> str:
    return bundle.http.post("/predictions/alpha", json={}).json()["version"]


def test_a_restart_changes_nothing_and_a_rollback_goes_back(instance: Bundle, tmp_path):
    for version in ("1.0", "2.0"):
        instance.pack("alpha", version)
    instance.pack("beta")
    instance.do("serve")
    assert default(instance) == "2.0"
    from_elsewhere(instance, "set-default", "alpha", "1.0", "--why", "2.0 is slower")
    from_elsewhere(instance, "retire", "beta", "1.0")
    instance.pack("alpha", "3.0")
    from_elsewhere(instance, "stop")
    assert not (instance.settings.run / "instance.json").exists()

    assert "alpha 3.0 is new: no traffic until" in instance.do("serve")
    assert default(instance) == "1.0"
    served = instance.control().json()["models"]
    assert {name: list(model["versions"]) for name, model in served.items()} == {"alpha": ["1.0", "2.0", "3.0"]}

    file = tmp_path / "request.json"
    file.write_text("{}")
    assert '"version": "3.0"' in from_elsewhere(instance, "predict", "alpha", file, "--version", "3.0")
    from_elsewhere(instance, "rollback", "alpha", "--why", "it was not")
    assert default(instance) == "2.0"
    assert "2.0 is slower" in from_elsewhere(instance, "defaults", "alpha")
