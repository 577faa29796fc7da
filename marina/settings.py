"""Settings of one running bundle: ports, folders and limits. MARINA_<FIELD> sets any field.

Arguments come before environment variables, these before the record of the running instance, and that before defaults.
"""

import ipaddress
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from marina import instance
from marina.errors import MarinaError
from marina.folders import Folders

# The folder that holds the packages marina, handlers and models: a checkout, or site-packages.
ROOT = Path(__file__).resolve().parents[1]
# The folder of the bundle's own files: the checkout, or the working directory where Marina is an installed package.
HOME = ROOT if (ROOT / "config.properties").is_file() else Path.cwd()


def editable(name: str) -> Path:
    """Return the user's own file of that name, config.properties say; the wheel's copy where there is none."""
    own = HOME / name
    return own if own.is_file() else Path(__file__).parent / "defaults" / name


LOOPBACK = "127.0.0.1"
MAX_PORT = 65535
PEM_FILES = ("cert", "key", "ca")


class RunningInstance(PydanticBaseSettingsSource):
    """Settings of the instance that runs in the same `var`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return nothing: `__call__` reads all fields at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the recorded settings; empty while nothing runs."""
        var = Path(self.current_state.get("var") or self.settings_cls.model_fields["var"].default)
        found = instance.recorded(var.absolute() / "run")
        fields = self.settings_cls.model_fields.keys() - {"var"}
        if not all(Path(found.get(name) or "/").exists() for name in PEM_FILES):
            fields -= set(PEM_FILES)  # a certificate that was moved away must not keep `stop` from working
        return {name: value for name, value in found.items() if name in fields}


class Settings(Folders, BaseSettings):
    """Settings of one instance of the bundle. Ports are TCP; timeouts are in seconds.

    `host` is the address of the public port alone: all other ports listen on loopback. `cert` and `key` (PEM files)
    make the public port HTTPS. `access_keys`: whether requests need a key; if it is not given, they do on any address
    but loopback, unless the bundle is `insecure`. `nodes` are the public ports of other Marinas that share the load,
    which trust each other by certificates of `ca` (PEM file):
    "host:port,host:port"; `database` is the one that they share, such as postgresql://host/marina. With `fork` (Linux
    only) workers are forks of one process that has imported their dependencies; without it each worker imports torch
    and the rest itself, which takes seconds and hundreds of MB. Two instances on one machine need different `var` and
    ports. `gallery` is the folder in which handlers keep the faces that users have enrolled.

    Limits of the public port: a request must arrive within `request_timeout`, a connection without requests is closed
    after `idle_timeout`, one client may have `client_connections`, and Envoy may use `envoy_memory` MiB.

    With `confine` (Linux only) workers may read no more than Python, their model and `worker_folders`, a list of
    folders as in PATH. `pass_environment` names further variables that processes keep: "HF_HOME,MY_LICENCE".

    >>> Settings(port=9000).url
    'http://127.0.0.1:9000'
    """

    model_config = SettingsConfigDict(env_prefix="MARINA_", env_ignore_empty=True)

    var: Path = HOME / "var"
    store: Path = HOME / "archive" / "store"
    config: Path = editable("config.properties")
    gallery: Path | None = None

    host: str = LOOPBACK
    port: int = 8000
    inference_port: int = 8080
    management_port: int = 8081
    grpc_inference_port: int = 7070
    grpc_management_port: int = 7071

    nodes: str = ""
    database: str = ""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    access_keys: bool | None = None
    insecure: bool = False

    request_timeout: float = 60.0
    idle_timeout: float = 60.0
    client_connections: int = 1000
    envoy_memory: int = 512

    fork: bool = True
    confine: bool = True
    worker_folders: str = ""
    pass_environment: str = ""
    poll_seconds: float = 0.5
    start_timeout: float = 900.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first of which wins."""
        return init_settings, env_settings, RunningInstance(settings_cls)

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        """Make paths absolute, for processes with another working directory; check the PEM files."""
        self.gallery = self.gallery or self.var / "gallery"
        for name in ("var", "store", "config", "gallery", *PEM_FILES):
            path = getattr(self, name)
            setattr(self, name, path and Path(path).absolute())
        if (self.cert is None) != (self.key is None):
            raise ValueError("CERT and KEY go together: give both PEM files, or neither")
        for path in filter(None, (self.cert, self.key, self.ca)):
            if not path.is_file():
                raise ValueError(f"no such file: {path}")
        return self

    @property
    def forking(self) -> bool:
        """`fork`, on Linux: only there a child ends with its shim, and macOS's libraries do not survive a fork."""
        return self.fork and sys.platform == "linux"

    @cached_property
    def peers(self) -> tuple[tuple[str, int], ...]:
        """The other nodes, as host and port."""
        pairs = (node.strip().rpartition(":") for node in self.nodes.split(",") if node.strip())
        return tuple((host, int(port)) for host, _, port in pairs)

    @property
    def database_url(self) -> str:
        """The URL of the experiments' database: `database`, or a SQLite file in `var`."""
        return self.database or f"sqlite:///{self.var / 'experiments.db'}"

    @property
    def on_loopback(self) -> bool:
        """True if only this machine reaches the public port."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def keys_required(self) -> bool:
        """True if requests need an access key."""
        return not (self.on_loopback or self.insecure) if self.access_keys is None else self.access_keys

    @property
    def url(self) -> str:
        """The public URL as this machine reaches it."""
        host = LOOPBACK if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        """Every port of the bundle by its field name."""
        return {name: value for name, value in self.model_dump().items() if name == "port" or name.endswith("_port")}

    @classmethod
    def moved_ports(cls, port: int, environ: Mapping[str, str]) -> dict[str, int]:
        """Return every port at the same distance from its default as `port`; those that variables set are left out.

        Raises MarinaError for a port outside 1 to 65535.

        >>> Settings.moved_ports(8800, {"MARINA_MANAGEMENT_PORT": "9000"})["inference_port"]
        8880
        """
        names = [name for name in cls.model_fields if name == "port" or name.endswith("_port")]
        offset = port - cls.model_fields["port"].default
        moved = {name: cls.model_fields[name].default + offset for name in names}
        kept = {name for name in names if name != "port" and environ.get(f"MARINA_{name.upper()}")}
        for name in [name for name in names if name not in kept]:
            if not 0 < moved[name] <= MAX_PORT:
                raise MarinaError(
                    f"PORT={port} moves {name} to {moved[name]}, beyond 1 to {MAX_PORT}: choose another, or set "
                    f"MARINA_{name.upper()}=<port>"
                )
        return {name: moved[name] for name in names if name not in kept}

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process these settings."""
        return {f"MARINA_{name.upper()}": str(value) for name, value in self.model_dump().items() if value is not None}
