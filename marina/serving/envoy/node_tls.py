"""TLS between nodes (mTLS): each shows its certificate, and trusts those of the bundle's CA alone.

A node with such a certificate needs no access key, and its relayed requests are trusted. The CA must sign nodes only.
"""

import ipaddress

from marina.serving.envoy import certificate
from marina.serving.envoy.config import Json, typed
from marina.settings import Settings

MATCH = "envoy.transport_socket_match"  # metadata of endpoints that decides on the transport socket
NODE = {"node": True}


def client_validation(settings: Settings) -> Json:
    """Return the fields of the common TLS context that verify a client's certificate, if it shows one."""
    return {"validation_context": {"trusted_ca": {"filename": str(settings.ca)}}} if settings.ca else {}


def cluster_fields(settings: Settings) -> Json:
    """Return the fields of a cluster: TLS to other nodes, none to this machine; empty without a CA."""
    if not (settings.ca and settings.peers):
        return {}
    plain = typed("extensions.transport_sockets.raw_buffer.v3.RawBuffer")
    return {
        "transport_socket_matches": [
            {"name": "node", "match": NODE, "transport_socket": _socket(settings)},
            {
                "name": "here",
                "match": {},
                "transport_socket": {"name": "envoy.transport_sockets.raw_buffer", "typed_config": plain},
            },
        ]
    }


def endpoint_fields(settings: Settings) -> Json:
    """Return the fields of another node's endpoint."""
    return {"metadata": {"filter_metadata": {MATCH: NODE}}} if settings.ca else {}


def _socket(settings: Settings) -> Json:
    """Return the transport socket to other nodes. A node's certificate must name the host of one of the peers."""
    names = [
        {"san_type": _kind(host), "matcher": {"exact": host}} for host in sorted({host for host, _ in settings.peers})
    ]
    validation = {"trusted_ca": {"filename": str(settings.ca)}, "match_typed_subject_alt_names": names}
    common = certificate.tls_context(settings) | {"validation_context": validation}
    # Full handshakes only: Envoy does not validate the client's certificate again when a TLS session is resumed, and
    # takes such a client for one without a certificate.
    kind = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    context = typed(kind, common_tls_context=common, max_session_keys=0)
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _kind(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "DNS"
    return "IP_ADDRESS"


def relay_rule(settings: Settings) -> str:
    """Return the line of Lua that request.lua decides by whether another node sent a request.

    "certificate": nodes show one. "header": without a CA a header is taken for it; a client who forges it hides the
    variant in the response to itself, and nothing else.
    """
    return f'local RELAYED_BY = "{"certificate" if settings.ca else "header"}"\n'
