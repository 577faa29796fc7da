"""Security headers of every response of the public port. Control adds those of its HTML pages."""

from marina.serving.envoy.config import Json, header_additions, typed
from marina.settings import LOOPBACK, Settings

YEAR = 365 * 86_400


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the headers; with HTTPS, browsers must use nothing else from then on.

    Not on loopback: the header counts for all ports of a host, and "localhost" has other servers.
    """
    secure = {"strict-transport-security": f"max-age={YEAR}"} if settings.cert and settings.host != LOOPBACK else {}
    return {"x-content-type-options": "nosniff", **secure}


def header_filter(settings: Settings) -> Json:
    """Return the HTTP filter that adds them."""
    additions = header_additions(security_headers(settings), "OVERWRITE_IF_EXISTS_OR_ADD")
    mutations = {"response_mutations": [{"append": each} for each in additions]}
    config = typed("extensions.filters.http.header_mutation.v3.HeaderMutation", mutations=mutations)
    return {"name": "envoy.filters.http.header_mutation", "typed_config": config}
