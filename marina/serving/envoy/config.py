"""Building blocks of Envoy's configuration: messages of its v3 API as JSON."""

from pathlib import Path
from typing import Any

from marina.settings import Settings

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy"


def typed(kind: str, **fields: Any) -> Json:
    """Return a typed message, a google.protobuf.Any: `kind` is its name without the prefix `envoy.`.

    >>> typed("config.cluster.v3.Cluster", name="control")
    {'@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', 'name': 'control'}
    """
    return {"@type": f"{TYPE}.{kind}", **fields}


def watched(settings: Settings, name: str) -> Json:
    """Return the config source of var/run/envoy/<name>.json, which Envoy reloads when another file replaces it."""
    path = {"path": str(settings.envoy / f"{name}.json"), "watched_directory": {"path": str(settings.envoy)}}
    return {"path_config_source": path, "resource_api_version": "V3"}


def address(host: str, port: int) -> Json:
    """Return a TCP address.

    >>> address("127.0.0.1", 8080)
    {'socket_address': {'address': '127.0.0.1', 'port_value': 8080}}
    """
    return {"socket_address": {"address": host, "port_value": port}}


def pipe(socket: Path) -> Json:
    """Return the address of a unix socket.

    >>> pipe(Path("/var/control.sock"))
    {'pipe': {'path': '/var/control.sock'}}
    """
    return {"pipe": {"path": str(socket)}}


def listening_pipe(socket: Path) -> Json:
    """Return the address of a unix socket that Envoy makes, for this user alone."""
    return {"pipe": {"path": str(socket), "mode": 0o600}}


def header_match(name: str, value: str) -> Json:
    """Return a matcher of requests whose header `name` has exactly this value."""
    return {"name": name, "string_match": {"exact": value}}


def header_additions(headers: dict[str, str], action: str) -> list[Json]:
    """Return headers to add to a request or a response. Envoy leaves out a header whose value is empty.

    `action` is Envoy's append action, such as OVERWRITE_IF_EXISTS_OR_ADD.
    """
    return [{"header": {"key": key, "value": value}, "append_action": action} for key, value in headers.items()]
