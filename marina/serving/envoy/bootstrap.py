"""Bootstrap configuration of Envoy: public listener, filters, access logs, admin interface and watched files."""

import json
from pathlib import Path

from marina import headers
from marina.files import write_atomic
from marina.serving.envoy import access, audit_log, certificate, limits, node_tls, refusals
from marina.serving.envoy.config import Json, address, listening_pipe, typed, watched
from marina.serving.envoy.routes import FEEDBACK_FILTER, INNER, ROUTES, TOKEN
from marina.serving.envoy.security_headers import header_filter
from marina.serving.torchserve import process
from marina.settings import Settings

# Error types that TorchServe returns with the same status.
ERRORS = {
    400: "BadRequestException",
    404: "ResourceNotFoundException",
    408: "RequestTimeoutException",
    413: "PayloadTooLargeException",
    415: "UnsupportedMediaTypeException",
    503: "ServiceUnavailableException",
    504: "GatewayTimeoutException",
}
# "misc" would warn of every field of limits.body_buffers, which is marked as work in progress: docs/decisions/0082.
LOG_OPTIONS = ("-l", "warning", "--component-log-level", "misc:error")
# What Marina requests of the admin interface. Code in a worker may connect to it, too: no path here ends or changes
# Envoy, or shows its configuration, which holds the key of feedback tokens.
ADMIN_PATHS = ({"prefix": "/stats?"}, {"exact": "/ready"}, {"exact": "/reopen_logs"})
LUA = Path(__file__).with_name("request.lua")
FEEDBACK_LUA = Path(__file__).with_name("feedback_token.lua")


def local_replies(settings: Settings, limit: int) -> Json:
    """Return Envoy's own responses in the format of TorchServe's errors; `limit` is the longest request body."""

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
        "mappers": [*refusals.mappers(settings), *(mapper(status, kind) for status, kind in ERRORS.items())],
        "body_format": body("GatewayException"),
    }


def access_log() -> Json:
    """Return the log of every request: to stdout, which the supervisor writes to var/logs/access.log and rotates."""
    fields = {
        "time": "%START_TIME%",
        "request_id": _request_header(headers.REQUEST_ID),
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
    }
    log = typed("extensions.access_loggers.stream.v3.StdoutAccessLog", log_format={"json_format": fields})
    return {"name": "stdout", "typed_config": log}


def exposures_file(settings: Settings) -> Path:
    """Return the log of requests that belong to experiments."""
    return settings.var / "exposures" / "exposures.jsonl"


def exposure_log(settings: Settings, marker: str) -> Json:
    """Return the log of requests that carry the header `marker`: the assigned variant, and the outcome.

    It is a file, not a stream to control: what happens while control is down is read later.
    """
    fields = {
        "time": "%START_TIME(%s.%6f)%",
        "id": _request_header(headers.EXPOSURE_ID),
        "request_id": _request_header(headers.REQUEST_ID),
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "experiment": _request_header(headers.EXPERIMENT),
        "key": _request_header(headers.EXPERIMENT_KEY),
        "assigned": _request_header(headers.ASSIGNED_VARIANT),
        "mirror": _request_header(headers.MIRROR),
        "variant": _response_header(headers.VARIANT),
        "source": _response_header(headers.VARIANT_SOURCE),
        "prediction": _response_header(headers.PREDICTION),
        "status": "%RESPONSE_CODE%",
        # The service time: how fast the client sends its request and reads the response is not the variant's doing.
        "microseconds": "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%",
        "flags": "%RESPONSE_FLAGS%",
    }
    log = typed(
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=str(exposures_file(settings)),
        log_format={"json_format": fields},
    )
    marked = {"header_filter": {"header": {"name": marker, "present_match": True}}}
    return {"name": "file", "filter": marked, "typed_config": log}


def _request_header(name: str) -> str:
    return f"%REQ({name.upper()})%"


def _response_header(name: str) -> str:
    return f"%RESP({name.upper()})%"


def filters(settings: Settings, limit: int) -> list[Json]:
    """Return the HTTP filters of the public listener; `limit` is the longest request body in bytes."""
    secret = {"name": TOKEN, "sds_config": watched(settings, "sds")}
    generic = typed("extensions.http.injected_credentials.generic.v3.Generic", credential=secret)
    generic["header_value_prefix"] = "Bearer "
    credential = {"name": "envoy.http.injected_credentials.generic", "typed_config": generic}
    injector = "extensions.filters.http.credential_injector.v3.CredentialInjector"
    script = node_tls.relay_rule(settings) + LUA.read_text()
    return [
        *access.filters(settings),  # first: nothing of a request is read before its key is verified
        *limits.body_buffers(settings, limit),
        {
            "name": "envoy.filters.http.lua",
            "typed_config": typed("extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": script}),
        },
        header_filter(settings),
        {
            "name": "envoy.filters.http.credential_injector",
            "typed_config": typed(injector, overwrite=True, credential=credential),
        },
        # Active only on the routes of experiments (marina.serving.envoy.routes.feedback_token_filter).
        {
            "name": FEEDBACK_FILTER,
            "typed_config": typed(
                "extensions.filters.http.lua.v3.Lua",
                source_codes={FEEDBACK_FILTER: {"inline_string": FEEDBACK_LUA.read_text()}},
            ),
        },
        # Active only on routes with a delay (marina.serving.envoy.routes.delay_filter).
        {"name": "envoy.filters.http.fault", "typed_config": typed("extensions.filters.http.fault.v3.HTTPFault")},
        {"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router")},
    ]


def connection_manager(settings: Settings) -> Json:
    """Return the HTTP connection manager of the public listener."""
    limit = process.max_request_bytes(settings)
    request_id = typed("extensions.request_id.uuid.v3.UuidRequestIdConfig", pack_trace_reason=False)
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="public",
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        # Return a client's UUID unchanged, without the sampling decision packed into it.
        request_id_extension={"typed_config": request_id},
        **limits.http_options(settings),
        rds={"route_config_name": ROUTES, "config_source": watched(settings, "rds")},
        http_filters=filters(settings, limit),
        local_reply_config=local_replies(settings, limit),
        access_log=[access_log(), exposure_log(settings, headers.EXPERIMENT), *audit_log.access_logs(settings)],
    )


def inner_listener(settings: Settings) -> Json:
    """Return the listener on a unix socket to which Envoy sends requests that must be rewritten for another version.

    See marina.serving.envoy.route_state.RouteExtension.
    """
    router = typed("extensions.filters.http.router.v3.Router")
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="inner",
        preserve_external_request_id=True,
        rds={"route_config_name": INNER, "config_source": watched(settings, "inner")},
        http_filters=[{"name": "envoy.filters.http.router", "typed_config": router}],
        access_log=[exposure_log(settings, headers.MIRROR)],
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": "inner",
        "address": listening_pipe(settings.inner_socket),
        "filter_chains": [chain],
        "ignore_global_conn_limit": True,
    }


def tls(settings: Settings) -> Json:
    """Return the transport socket that makes the public listener HTTPS."""
    common = certificate.tls_context(settings) | {"alpn_protocols": ["h2", "http/1.1"]}
    common |= node_tls.client_validation(settings)
    kind = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    context = typed(kind, common_tls_context=common, require_client_certificate=False)
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def bootstrap(settings: Settings) -> Json:
    """Return the whole bootstrap configuration."""
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager(settings)}
    chain: Json = {"filters": [manager]}
    if settings.cert:
        chain["transport_socket"] = tls(settings)
    listener = {
        "name": "public",
        "address": address(settings.host, settings.port),
        **limits.listener_options(),
        **limits.client_chains(settings, chain),
    }
    return {
        "overload_manager": limits.overload_manager(settings, process.max_request_bytes(settings)),
        "node": {"id": "marina", "cluster": "marina"},
        "admin": {
            "address": listening_pipe(settings.admin_socket),
            "ignore_global_conn_limit": True,
            "allow_paths": list(ADMIN_PATHS),
        },
        "dynamic_resources": {"cds_config": watched(settings, "cds")},
        "static_resources": {"listeners": [listener, inner_listener(settings)]},
    }


def bootstrap_file(settings: Settings) -> Path:
    """Return the file that Envoy starts with."""
    return settings.run / "envoy.json"


def render(settings: Settings) -> None:
    """Write var/run/envoy.json."""
    write_atomic(bootstrap_file(settings), json.dumps(bootstrap(settings), indent=1))
