"""What Envoy is told once, at its start: the public listener and its filters, the admin port, the watched files."""

import json
from pathlib import Path

from serving import torchserve
from serving.access_log import access_log, exposures
from serving.envoy import Json, address, typed, watched
from serving.files import write_atomic
from serving.routes import INNER, ROUTES, TOKEN
from serving.settings import LOOPBACK, Settings

# The types that TorchServe gives with the same status.
ERRORS = {
    400: "BadRequestException",
    404: "ResourceNotFoundException",
    413: "PayloadTooLargeException",
    503: "ServiceUnavailableException",
    504: "GatewayTimeoutException",
}
LUA = Path(__file__).with_name("request.lua")
# Beyond them Envoy accepts no more, instead of running out of file descriptors.
MOST_CONNECTIONS = 10_000


def local_replies(limit: int) -> Json:
    """Every answer of Envoy's own in the shape of TorchServe's errors."""

    def body(kind: str, **more: str) -> Json:
        return {"json_format": {"code": "%RESPONSE_CODE%", "type": kind, "message": "%LOCAL_REPLY_BODY%", **more}}

    def mapper(status: int, kind: str) -> Json:
        comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"marina.local_reply_{status}"}}
        large = {"message": f"the request body is longer than {limit} bytes", "field": "body"} if status == 413 else {}
        return {
            "filter": {"status_code_filter": {"comparison": comparison}},
            "body_format_override": body(kind, **large),
        }

    return {
        "mappers": [mapper(status, kind) for status, kind in ERRORS.items()],
        "body_format": body("GatewayException"),
    }


def filters(settings: Settings, limit: int) -> list[Json]:
    secret = {"name": TOKEN, "sds_config": watched(settings, "sds")}
    generic = typed("extensions.http.injected_credentials.generic.v3.Generic", credential=secret)
    generic["header_value_prefix"] = "Bearer "
    credential = {"name": "envoy.http.injected_credentials.generic", "typed_config": generic}
    injector = "extensions.filters.http.credential_injector.v3.CredentialInjector"
    return [
        {
            "name": "envoy.filters.http.buffer",
            "typed_config": typed("extensions.filters.http.buffer.v3.Buffer", max_request_bytes=limit),
        },
        {
            "name": "envoy.filters.http.lua",
            "typed_config": typed(
                "extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": LUA.read_text()}
            ),
        },
        {
            "name": "envoy.filters.http.credential_injector",
            "typed_config": typed(injector, overwrite=True, credential=credential),
        },
        # Does nothing but on routes that ask for a pause (serving.routes.held).
        {"name": "envoy.filters.http.fault", "typed_config": typed("extensions.filters.http.fault.v3.HTTPFault")},
        {"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router")},
    ]


def connection_manager(settings: Settings) -> Json:
    limit = torchserve.request_bytes(settings)
    request_id = typed("extensions.request_id.uuid.v3.UuidRequestIdConfig", pack_trace_reason=False)
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="public",
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        # A client's UUID comes back as it was, not with the sampling decision packed into it.
        request_id_extension={"typed_config": request_id},
        request_headers_timeout="10s",
        # Who is refused in the middle of a long body must have time to read why.
        delayed_close_timeout="10s",
        rds={"route_config_name": ROUTES, "config_source": watched(settings, "rds")},
        http_filters=filters(settings, limit),
        local_reply_config=local_replies(limit),
        access_log=[access_log(), exposures(settings, "x-marina-experiment")],
    )


def inner_listener(settings: Settings) -> Json:
    """On loopback: requests that Envoy sends to itself, to be rewritten for another version (serving.overlay)."""
    router = typed("extensions.filters.http.router.v3.Router")
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="inner",
        preserve_external_request_id=True,
        rds={"route_config_name": INNER, "config_source": watched(settings, "inner")},
        http_filters=[{"name": "envoy.filters.http.router", "typed_config": router}],
        access_log=[exposures(settings, "x-marina-mirror")],
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": "inner", "address": address(LOOPBACK, settings.inner_port), "filter_chains": [chain]}


def tls(cert: Path, key: Path) -> Json:
    pair = {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
    common = {"tls_certificates": [pair], "alpn_protocols": ["h2", "http/1.1"]}
    context = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=common)
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def bootstrap(settings: Settings) -> Json:
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager(settings)}
    chain: Json = {"filters": [manager]}
    if settings.cert and settings.key:
        chain["transport_socket"] = tls(settings.cert, settings.key)
    listener = {"name": "public", "address": address(settings.host, settings.port), "filter_chains": [chain]}
    monitor = "envoy.resource_monitors.global_downstream_max_connections"
    kind = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    most = {"name": monitor, "typed_config": typed(kind, max_active_downstream_connections=MOST_CONNECTIONS)}
    return {
        "overload_manager": {"resource_monitors": [most]},
        "node": {"id": "marina", "cluster": "marina"},
        "admin": {"address": address(LOOPBACK, settings.envoy_admin_port)},
        "dynamic_resources": {"cds_config": watched(settings, "cds")},
        "static_resources": {"listeners": [listener, inner_listener(settings)]},
    }


def file(settings: Settings) -> Path:
    return settings.run / "envoy.json"


def render(settings: Settings) -> None:
    """Write var/run/envoy.json."""
    write_atomic(file(settings), json.dumps(bootstrap(settings), indent=1))
