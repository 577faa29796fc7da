"""supervisord: it starts and restarts fork server, TorchServe, Envoy, control and watchdog, and stops their groups."""

import io
import os
import secrets
import subprocess
import sys
import time
import xmlrpc.client
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from marina import instance
from marina.errors import MarinaError
from marina.files import PRIVATE_UMASK, last_lines, write_atomic
from marina.security.environment import DATABASE_PREFIXES, kept
from marina.serving.launch import kill_workers
from marina.settings import ROOT, Settings

# Started in this order and stopped in the reverse one: Envoy stops accepting requests first.
PROGRAMS = ("forks", "torchserve", "control", "envoy", "watchdog")
STOP_SECONDS = 10
USERNAME = "marina"


def socket(settings: Settings) -> Path:
    """Return supervisord's unix socket."""
    return settings.sockets / "supervisor.sock"


def pid_file(settings: Settings) -> Path:
    """Return the file with supervisord's pid."""
    return instance.pid_file(settings.run)


def configuration(settings: Settings) -> Path:
    """Return supervisord's configuration file."""
    return instance.configuration(settings.run)


def render(settings: Settings) -> None:
    """Write var/run/supervisord.conf. Percent signs start expansions there, so they are doubled."""
    logs = settings.logs
    config = RawConfigParser()
    # Workers run as the same user: the password, which they can't read, keeps them from steering the supervisor.
    config["unix_http_server"] = {
        "file": str(socket(settings)),
        "chmod": "0700",
        "username": USERNAME,
        "password": secrets.token_urlsafe(),
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    config["supervisord"] = {
        "logfile": str(logs / "supervisord.log"),
        "pidfile": str(pid_file(settings)),
        "directory": str(ROOT),
        "loglevel": "info",
        "umask": f"{PRIVATE_UMASK:03o}",
    }
    for rank, name in enumerate(PROGRAMS):
        if name == "forks" and not settings.forking:
            continue
        config[f"program:{name}"] = {
            "command": f'"{sys.executable}" -m marina.serving.launch {name}',
            "priority": str(rank + 1),
            "autorestart": "true",
            "startretries": "1000000",  # each retry waits a second longer than the last one
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": str(STOP_SECONDS),
            "stdout_logfile": str(logs / ("access.log" if name == "envoy" else f"{name}.out")),
            "stderr_logfile": str(logs / f"{name}.err"),
            "stdout_logfile_maxbytes": "20MB",
            "stderr_logfile_maxbytes": "5MB",
            "stdout_logfile_backups": "5",
            "stderr_logfile_backups": "2",
        }
    for section in config.values():
        for key, value in section.items():
            section[key] = value.replace("%", "%%")
    text = io.StringIO()
    config.write(text)
    write_atomic(configuration(settings), text.getvalue())


def password(settings: Settings) -> str:
    """Return the password of supervisord's socket."""
    config = RawConfigParser()
    config.read(configuration(settings))
    return config["unix_http_server"]["password"]


def process(settings: Settings) -> psutil.Process | None:
    """Return the running supervisord of this instance, None if there is none."""
    return instance.process(settings.run)


def start(settings: Settings) -> None:
    """Start supervisord as a daemon, and record the settings; raises MarinaError if it does not come up in seconds."""
    render(settings)
    instance.record(settings.run, settings.model_dump(mode="json", exclude={"var"}))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration(settings))]
    environment = kept(os.environ, settings.pass_environment, DATABASE_PREFIXES) | settings.environment()
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    deadline = time.monotonic() + STOP_SECONDS
    while result.returncode == 0 and time.monotonic() < deadline:
        if process(settings) and socket(settings).exists():
            return
        time.sleep(0.1)
    log = "\n".join(last_lines(settings.logs / "supervisord.log", 5))
    raise MarinaError(f"the supervisor did not start: {result.stderr.strip()}\n{log}".strip())


def programs(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return each program by name with `statename`, `pid` and `description`; empty if the supervisor does not run."""
    if process(settings) is None:
        return {}
    transport = SupervisorTransport(USERNAME, password(settings), serverurl=f"unix://{socket(settings)}")
    proxy: Any = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
    return {entry["name"]: entry for entry in proxy.supervisor.getAllProcessInfo()}


def stop(settings: Settings) -> bool:
    """Stop every process of this instance and wait for its end; return False if none ran."""
    supervisor = process(settings)
    family = supervisor.children(recursive=True) if supervisor else []
    if supervisor:
        supervisor.terminate()
        psutil.wait_procs([supervisor], timeout=(STOP_SECONDS + 5) * len(PROGRAMS))
    # Kill processes that outlived it. Workers do not die with their JVM: those of a killed instance may be left.
    left = [each for each in (*([supervisor] if supervisor else []), *family) if each.is_running()]
    for each in left:
        each.kill()
    psutil.wait_procs(left, timeout=STOP_SECONDS)
    instance.forget(settings.run)
    return kill_workers(settings) or supervisor is not None
