"""The bricks of Envoy's configuration that bootstrap, routes and clusters are built of."""

from typing import Any

from serving.settings import Settings

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy"


def typed(kind: str, **fields: Any) -> Json:
    return {"@type": f"{TYPE}.{kind}", **fields}


def watched(settings: Settings, name: str) -> Json:
    """A file that Envoy reads again whenever another is renamed onto it."""
    path = {"path": str(settings.envoy / f"{name}.json"), "watched_directory": {"path": str(settings.envoy)}}
    return {"path_config_source": path, "resource_api_version": "V3"}


def address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def header(name: str, value: str) -> Json:
    """Matches requests that carry this header with this very value."""
    return {"name": name, "string_match": {"exact": value}}


def adding(headers: dict[str, str], action: str) -> list[Json]:
    """Headers to add to a request or a reply; one whose value comes out empty is left away."""
    return [{"header": {"key": key, "value": value}, "append_action": action} for key, value in headers.items()]
