"""Where everything of one running bundle is: ports, folders, limits. Every field can be set by MARINA_<FIELD>."""

import hashlib
import os
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
# sockaddr_un holds 108 bytes; what is added to the folder (".ts.sock.12345", "supervisor.sock.<pid>") fits in 30.
LONGEST_SOCKET_FOLDER = 78


class Settings(BaseSettings):
    """One instance of the bundle. Ports are TCP; timeouts are in seconds.

    `host` is the address of the public port alone: everything else listens on loopback. `cert` and `key` (PEM files)
    make the public port HTTPS. `nodes` are the public ports of further Marinas that share the load:
    "host:port,host:port"; `database` is what they share, such as postgresql://host/marina. Without `fork` (it is off
    where the system is not Linux) each worker is a Python that imports torch and the rest for itself, which takes
    seconds and hundreds of MB; with it, workers are forks of one process that did. Two instances on one machine need
    another `var` and other ports. `gallery` is where handlers keep the people whom users have enrolled.
    """

    model_config = SettingsConfigDict(env_prefix="MARINA_", env_ignore_empty=True)

    var: Path = ROOT / "var"
    store: Path = ROOT / "archive" / "store"
    config: Path = ROOT / "config.properties"
    gallery: Path | None = None

    host: str = LOOPBACK
    port: int = 8000
    inference_port: int = 8080
    management_port: int = 8081
    metrics_port: int = 8082
    grpc_inference_port: int = 7070
    grpc_management_port: int = 7071
    control_port: int = 8090
    envoy_admin_port: int = 9901
    inner_port: int = 9902

    nodes: str = ""
    database: str = ""

    cert: Path | None = None
    key: Path | None = None

    fork: bool = True
    poll_seconds: float = 0.5
    start_timeout: float = 900.0

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        """Paths must mean the same to processes with another working directory."""
        self.gallery = self.gallery or self.var / "gallery"
        for name in ("var", "store", "config", "gallery", "cert", "key"):
            path = getattr(self, name)
            setattr(self, name, path and Path(path).absolute())
        if (self.cert is None) != (self.key is None):
            raise ValueError("CERT and KEY go together: give both PEM files, or neither")
        for path in filter(None, (self.cert, self.key)):
            if not path.is_file():
                raise ValueError(f"no such file: {path}")
        return self

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def envoy(self) -> Path:
        return self.run / "envoy"

    @property
    def key_file(self) -> Path:
        """TorchServe writes it to its working directory, anew at each start."""
        return self.run / "key_file.json"

    @property
    def forking(self) -> bool:
        """`fork`, where it can be: Linux alone can tie a child to its shim, and macOS's libraries survive no fork."""
        return self.fork and sys.platform == "linux"

    @property
    def fork_socket(self) -> Path:
        return self.sockets / "forks.sock"

    @property
    def public_key(self) -> Path:
        return self.var / "keys" / "signing.pub"

    @cached_property
    def sockets(self) -> Path:
        """Folder of unix sockets, and TorchServe's TEMP: var/tmp, or a short path elsewhere if that is too long."""
        folder = self.var / "tmp"
        if len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER:
            return folder
        digest = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"marina-{os.getuid()}-{digest}"

    @cached_property
    def peers(self) -> tuple[tuple[str, int], ...]:
        """The other nodes, as host and port."""
        pairs = (node.strip().rpartition(":") for node in self.nodes.split(",") if node.strip())
        return tuple((host, int(port)) for host, _, port in pairs)

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.var / 'experiments.db'}"

    @property
    def url(self) -> str:
        """The public address as this machine reaches it."""
        host = LOOPBACK if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        """Every port of the bundle by the name of its field."""
        return {name: value for name, value in self.model_dump().items() if name == "port" or name.endswith("_port")}

    def environment(self) -> dict[str, str]:
        """The variables that give a child process these same settings."""
        return {f"MARINA_{name.upper()}": str(value) for name, value in self.model_dump().items() if value is not None}

    def make_folders(self) -> None:
        """Raises PermissionError if the socket folder is there and someone else's."""
        for folder in (self.run, self.logs, self.envoy, self.sockets, self.var / "exposures"):
            folder.mkdir(parents=True, exist_ok=True)
        self.sockets.chmod(0o700)
        self.run.chmod(0o700)  # keys lie here
