"""Limits of the public listener: memory, connections of each client, sizes and times.

One client must exhaust nothing that others need. A longer body gets 413, a slower one 408, a connection beyond the
limit is closed, and the largest requests are reset when Envoy's memory runs short. See docs/decisions/0082.
"""

import resource

from marina.serving.envoy.config import Json, typed
from marina.settings import Settings

# Of all clients together. Each takes a file descriptor, and a request one more.
MAX_CONNECTIONS = 10_000
# Clients are hashed by address to groups, and each group has `Settings.client_connections`: Envoy counts connections
# by filter chain, not by client. Who shares a group with an attacker shares its limit: one client in 32.
CLIENT_GROUPS = 32
MAX_STREAMS = 100  # requests at a time on one HTTP/2 connection
MAX_HEADERS = 100
MAX_HEADER_KIB = 32
KIB, MIB = 1 << 10, 1 << 20
CONNECTION_BUFFER = 64 * KIB  # bytes of a connection that wait to be read or written
BODY_BUFFER = 256 * KIB  # bytes of a body in memory
FILE_THREADS = 2  # that read and write bodies
STREAM_WINDOW, CONNECTION_WINDOW = MIB, 4 * MIB  # bytes that an HTTP/2 client may send without permission
HEADERS_SECONDS = 10
HANDSHAKE_SECONDS = 5
STUCK_SECONDS = 60  # a client that does not read its response
LEAST_IDLE_SECONDS = 2  # of a connection without requests while memory is short
ACCOUNT_CLASSES = 8  # in which Envoy sorts requests by size, each twice as large as the one before
HEAP = "envoy.resource_monitors.fixed_heap"


def seconds(duration: float) -> str:
    """Return a protobuf Duration.

    >>> seconds(0.5)
    '0.5s'
    """
    return f"{duration:g}s"


def max_connections() -> int:
    """Return the number of connections of all clients: half of this process's file descriptors at most."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if descriptors == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, descriptors // 2)


def overload_manager(settings: Settings, longest_body: int) -> Json:
    """Return the overload manager: what Envoy gives up when its heap or its connections approach their limits.

    The largest requests are reset first, from those of half the longest body at 70 % of the heap to those of 1/256 at
    90 %. Only beyond that are new requests refused, large or small.
    """
    connections = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    heap = typed("extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig")
    timers = ("HTTP_DOWNSTREAM_CONNECTION_IDLE", "TRANSPORT_SOCKET_CONNECT")
    scaled = [{"timer": timer, "min_timeout": seconds(LEAST_IDLE_SECONDS)} for timer in timers]
    reduced = typed("config.overload.v3.ScaleTimersOverloadActionConfig", timer_scale_factors=scaled)
    return {
        "refresh_interval": "0.1s",
        "buffer_factory_config": {
            "minimum_account_to_track_power_of_two": longest_body.bit_length() - 1 - ACCOUNT_CLASSES
        },
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": typed(connections, max_active_downstream_connections=max_connections()),
            },
            {"name": HEAP, "typed_config": heap | {"max_heap_size_bytes": settings.envoy_memory * MIB}},
        ],
        "actions": [
            _action("shrink_heap", {"threshold": {"value": 0.5}}),
            _action("reduce_timeouts", _between(0.6, 0.9)) | {"typed_config": reduced},
            _action("reset_high_memory_stream", _between(0.7, 0.9)),
            _action("disable_http_keepalive", {"threshold": {"value": 0.92}}),
            _action("stop_accepting_requests", {"threshold": {"value": 0.95}}),
        ],
    }


def _action(name: str, trigger: Json) -> Json:
    return {"name": f"envoy.overload_actions.{name}", "triggers": [{"name": HEAP, **trigger}]}


def _between(start: float, full: float) -> Json:
    return {"scaled": {"scaling_threshold": start, "saturation_threshold": full}}


def http_options(settings: Settings) -> Json:
    """Return the limits of the HTTP connection manager.

    There is no limit on the duration of a request: responses may stream for any time, and routes have deadlines.
    """
    return {
        "request_headers_timeout": seconds(HEADERS_SECONDS),
        "request_timeout": seconds(settings.request_timeout),
        "stream_idle_timeout": seconds(settings.request_timeout),
        "max_request_headers_kb": MAX_HEADER_KIB,
        "common_http_protocol_options": {
            "idle_timeout": seconds(settings.idle_timeout),
            "max_headers_count": MAX_HEADERS,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
            # Close the connection of a client that has gone, with its streams.
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
        # Keep the connection open long enough to deliver the 413 of a long body.
        "delayed_close_timeout": "10s",
        "path_with_escaped_slashes_action": "REJECT_REQUEST",  # no path of ours has one
    }


def body_buffers(settings: Settings, longest_body: int) -> list[Json]:
    """Return the filters that wait for the whole body: a slow client must not hold TorchServe's memory.

    The first keeps BODY_BUFFER bytes of each body in memory and the rest in an unnamed file under var/. The body is
    forwarded with a content length, whether the client has sent one or not. The second holds the body again until it
    is complete, which it is at once: without it Envoy 1.40 aborts if a later filter responds while the first one is
    still passing on the pieces, as the router does with a 404.
    """
    request = {
        "behavior": {"fully_buffer_and_always_inject_content_length": {}},
        "memory_buffer_bytes_limit": BODY_BUFFER,
        "storage_buffer_bytes_limit": longest_body - BODY_BUFFER,
    }
    kind = "extensions.filters.http.file_system_buffer.v3.FileSystemBufferFilterConfig"
    on_disk = typed(
        kind,
        manager_config={"thread_pool": {"thread_count": FILE_THREADS}},
        storage_buffer_path=str(settings.sockets),
        request=request,
        response={"behavior": {"bypass": {}}},
    )
    complete = typed("extensions.filters.http.buffer.v3.Buffer", max_request_bytes=longest_body)
    return [
        {"name": "envoy.filters.http.file_system_buffer", "typed_config": on_disk},
        {"name": "envoy.filters.http.buffer", "typed_config": complete},
    ]


def listener_options() -> Json:
    """Return the limits of the listener's connections."""
    return {
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        "per_connection_buffer_high_watermark_timeout": seconds(STUCK_SECONDS),
    }


def client_chains(settings: Settings, chain: Json) -> Json:
    """Return `chain` once for each group of clients, with a limit of connections, and the matcher that picks one."""
    matcher: Json = {
        "matcher_list": {"matchers": [_from_group(group) for group in range(CLIENT_GROUPS - 1, 0, -1)]},
        "on_no_match": _to_chain(0),
    }
    chains = [
        {
            **chain,
            "name": _chain_name(group),
            "filters": [_connection_limit(settings, group), *chain["filters"]],
            "transport_socket_connect_timeout": seconds(HANDSHAKE_SECONDS),
        }
        for group in range(CLIENT_GROUPS)
    ]
    return {"filter_chain_matcher": matcher, "filter_chains": chains}


def _chain_name(group: int) -> str:
    return f"clients_{group}"


def _connection_limit(settings: Settings, group: int) -> Json:
    limit = typed(
        "extensions.filters.network.connection_limit.v3.ConnectionLimit",
        stat_prefix=_chain_name(group),
        max_connections=settings.client_connections,
    )
    return {"name": "envoy.filters.network.connection_limit", "typed_config": limit}


def _to_chain(group: int) -> Json:
    name = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": _chain_name(group)}
    return {"action": {"name": "chain", "typed_config": name}}


def _from_group(group: int) -> Json:
    """Return the matcher of clients whose address hashes to this group or a higher one."""
    address = {
        "name": "address",
        "typed_config": typed("extensions.matching.common_inputs.network.v3.SourceIPInput"),
    }
    hashed = typed(
        "extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing",
        threshold=group,
        modulo=CLIENT_GROUPS,
    )
    predicate = {"input": address, "custom_match": {"name": "hash", "typed_config": hashed}}
    return {"predicate": {"single_predicate": predicate}, "on_match": _to_chain(group)}
