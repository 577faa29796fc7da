"""Access control in Envoy: which path needs which scope, and the filters that verify keys before anything is read.

Four filters run in this order: jwt_authn verifies the token and removes it, `registered` (RBAC) admits keys of the
registry, `scopes` (RBAC) admits keys whose scopes open the path, and local_ratelimit counts the requests of each key.
Envoy reads their configuration from watched files and routes, which `gateway` writes: no change needs a restart.
Other nodes of the bundle have no key, but a client certificate (see marina.serving.envoy.node_tls).
"""

import json
from collections.abc import Iterable, Sequence

from marina.security import access_keys
from marina.security.access_keys import AccessKey, SigningKey
from marina.security.scopes import EXPERIMENTS, FEEDBACK, INFERENCE, MANAGE, METRICS
from marina.serving.envoy.config import Json, typed, watched
from marina.settings import Settings

JWT, REGISTERED, SCOPES, RATES = "access.jwt", "access.registered", "access.scopes", "access.rates"
PROVIDER = "marina"
# Where jwt_authn puts the claims of a verified token, and the reason why it verified none.
METADATA, CLAIMS, FAILURE = "envoy.filters.http.jwt_authn", "claims", "failure"
CACHED_TOKENS = 1000  # of each Envoy thread: verifying a signature takes longer than all the rest
UNLIMITED = 2**32 - 1
RATE_LIMIT = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"

# Paths that need no key: control responds without details (see marina.api.caller).
OPEN = ("/ready", "/docs", "/openapi.json")
# Paths that any key opens, beside "/", which leads to the page.
ANY_KEY = ("/v1/models",)
# Paths of each scope; whatever is below such a path needs the same scope. What is in no list is refused.
PREDICT, EXPLAIN = INFERENCE
PATHS = {
    PREDICT: ("/predictions", "/wfpredict"),
    EXPLAIN: ("/explanations",),
    FEEDBACK: ("/v1/feedback",),
    EXPERIMENTS: ("/v1/experiments",),
    METRICS: ("/metrics", "/ping"),
    MANAGE: ("/v1/keys",),
}


def filters(settings: Settings) -> list[Json]:
    """Return the filters, all but the last with a watched file each; none where requests need no key.

    The last one limits nothing by itself: see `rates`.
    """
    if not settings.keys_required:
        return []
    watching = [
        {"name": name, "config_discovery": {"config_source": watched(settings, name), "type_urls": [config["@type"]]}}
        for name, config in configurations(settings, []).items()
    ]
    return [*watching, {"name": RATES, "typed_config": typed(RATE_LIMIT, stat_prefix="access_keys")}]


def inlined(settings: Settings, http_filters: list[Json]) -> list[Json]:
    """Return HTTP filters with an empty configuration in place of a watched file, for Envoy to validate."""
    content = configurations(settings, []) if settings.keys_required else {}
    return [
        {"name": each["name"], "typed_config": content[each["name"]]} if "config_discovery" in each else each
        for each in http_filters
    ]


def resource(name: str, config: Json) -> Json:
    """Return the resource that a filter's watched file holds."""
    return typed("config.core.v3.TypedExtensionConfig", name=name, typed_config=config)


def configurations(settings: Settings, keys: Sequence[AccessKey]) -> dict[str, Json]:
    """Return each filter's configuration by its name; `keys` are those that are active."""
    own = SigningKey(settings.keys).public  # jwt_authn refuses a set of no keys
    nodes = bool(settings.ca)
    return {
        JWT: _jwt_authn({own, *(key.signer for key in keys)}),
        REGISTERED: _rbac(_registered(keys, nodes)),
        SCOPES: _rbac(_scopes(keys, nodes)),
    }


def _jwt_authn(signers: Iterable[str]) -> Json:
    """Return the filter that verifies tokens. It refuses nothing: `registered` does, but not open paths and nodes."""
    keys = {"keys": [access_keys.jwk(signer) for signer in sorted(signers)]}
    provider = {
        "issuer": access_keys.ISSUER,
        "require_expiration": True,
        "local_jwks": {"inline_string": json.dumps(keys)},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "payload_in_metadata": CLAIMS,
        "failed_status_in_metadata": FAILURE,
        "clock_skew_seconds": 1,
        "jwt_cache_config": {"jwt_cache_size": CACHED_TOKENS},
    }
    verified = {"requires_any": {"requirements": [{"provider_name": PROVIDER}, {"allow_missing_or_failed": {}}]}}
    rules = [{"match": {"prefix": "/"}, "requires": verified}]
    return typed("extensions.filters.http.jwt_authn.v3.JwtAuthentication", providers={PROVIDER: provider}, rules=rules)


def _rbac(policies: Json) -> Json:
    return typed("extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": policies})


def _registered(keys: Sequence[AccessKey], nodes: bool) -> Json:
    """Return the policies that admit open paths, other nodes, and keys of the registry."""
    ids: list[Json] = [{"string_match": {"exact": key.id}} for key in keys]
    # One principal with all ids: Envoy would look the claim up for each of several. `or_match` takes two or more.
    known = [_claim("jti", {"or_match": {"value_matchers": ids}} if len(ids) > 1 else ids[0])] if ids else []
    anonymous = {"not_id": _claim("jti", {"present_match": True})}  # a revoked key opens nothing, not even open paths
    return {
        "open": _policy(_paths(OPEN), [anonymous]),
        **_nodes(nodes),
        **({"key": _policy([{"any": True}], known)} if known else {}),
    }


def _scopes(keys: Sequence[AccessKey], nodes: bool) -> Json:
    """Return the policies by scope; those limited to a model are of the keys that there are."""
    policies = {scope: _policy(_paths(paths), [_has_scope(scope)]) for scope, paths in PATHS.items()}
    for scope in sorted({scope for key in keys for scope in key.scopes if ":" in scope}):
        kind, _, model = scope.partition(":")
        policies[scope] = _policy(_paths(f"{path}/{model}" for path in PATHS[kind]), [_has_scope(scope)])
    present = _claim("jti", {"present_match": True})
    return {
        "open": _policy(_paths(OPEN), [{"any": True}]),
        **_nodes(nodes),
        "any key": _policy([*_exact("/"), *_paths(ANY_KEY)], [present]),
        **policies,
    }


def _nodes(nodes: bool) -> Json:
    """Return the policy of callers with a certificate of the bundle's CA."""
    # Not Envoy's principal `authenticated`: any TLS connection is that, with or without a certificate.
    config = typed("extensions.rbac.principals.mtls_authenticated.v3.Config", any_validated_client_certificate=True)
    certified = {"custom": {"name": "envoy.rbac.principals.mtls_authenticated", "typed_config": config}}
    return {"node": _policy([{"any": True}], [certified])} if nodes else {}


def _policy(permissions: list[Json], principals: list[Json]) -> Json:
    return {"permissions": permissions, "principals": principals}


def _exact(path: str) -> list[Json]:
    return [{"url_path": {"path": {"exact": path}}}]


def _paths(paths: Iterable[str]) -> list[Json]:
    """Return permissions of these paths and of what is below them."""
    return [each for path in paths for each in (*_exact(path), {"url_path": {"path": {"prefix": f"{path}/"}}})]


def _claim(name: str, value: Json) -> Json:
    """Return the principal whose verified token has this claim."""
    path = [{"key": CLAIMS}, {"key": name}]
    matcher = {"filter": METADATA, "path": path, "value": value}
    return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}}


def _has_scope(scope: str) -> Json:
    return _claim("scopes", {"list_match": {"one_of": {"string_match": {"exact": scope}}}})


def rates(keys: Sequence[AccessKey]) -> Json:
    """Return the token buckets, one for each key with a rate.

    They belong to the routes, not to the filter: Envoy makes a filter for each group of clients (limits.client_chains),
    and a key would have its rate in each of them.
    """
    action = {"metadata_key": {"key": METADATA, "path": [{"key": CLAIMS}, {"key": "jti"}]}, "descriptor_key": "key"}
    enabled = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return typed(
        RATE_LIMIT,
        stat_prefix="access_keys",
        filter_enabled=enabled,
        filter_enforced=enabled,
        token_bucket=_bucket(UNLIMITED, UNLIMITED),  # of requests without a key, and of keys without a rate
        rate_limits=[{"actions": [{"metadata": {**action, "source": "DYNAMIC"}}]}],
        descriptors=[
            {"entries": [{"key": "key", "value": key.id}], "token_bucket": _bucket(key.burst or 1, key.rate)}
            for key in keys
            if key.rate is not None
        ],
        rate_limited_as_resource_exhausted=True,  # in gRPC, where 429 would be UNAVAILABLE
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
    )


def _bucket(most: int, rate: int) -> Json:
    return {"max_tokens": most, "tokens_per_fill": rate, "fill_interval": "1s"}
