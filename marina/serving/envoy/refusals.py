"""Responses to requests that access control refuses, in the shape of TorchServe's errors.

401: no key, or one that is expired, revoked or not ours. 403: its scopes don't open the path. 429: it is over its rate.
"""

from marina.security.caller import CLAIM
from marina.security.scopes import INFERENCE
from marina.serving.envoy.access import CLAIMS, FAILURE, METADATA, PATHS
from marina.serving.envoy.config import Json, header_additions
from marina.settings import Settings

CHALLENGE = 'Bearer realm="marina"'
NO_KEY = "this needs an access key, as `Authorization: Bearer KEY`; the operator makes one by `marina key create`"
NOT_KNOWN = "this access key is revoked, or not of this bundle"
REASON = f"this access key is not valid: %DYNAMIC_METADATA({METADATA}:{FAILURE}:message)%"
RATE = f"the key {CLAIM.format(name='sub')} may send {CLAIM.format(name='rate')} requests per second"


def mappers(settings: Settings) -> list[Json]:
    """Return the mappers of Envoy's local replies, the first of which counts; none where requests need no key."""
    if not settings.keys_required:
        return []
    key = f"the key {CLAIM.format(name='sub')}"
    admitted = _metadata("envoy.filters.http.rbac", ["enforced_engine_result"], {"string_match": {"exact": "allowed"}})
    scopes = [
        _mapper(403, "ForbiddenException", f"{key} lacks the scope {_spelled(scope)}", [admitted, _below(path)])
        for scope, paths in PATHS.items()
        for path in paths
    ]
    missing = _metadata(METADATA, [FAILURE, "message"], {"string_match": {"exact": "Jwt is missing"}})
    has_key = _metadata(METADATA, [CLAIMS, "jti"], {"present_match": True})
    return [
        *scopes,
        _mapper(403, "ForbiddenException", "no scope opens this path: see /docs", [admitted]),
        # What the first RBAC filter refuses: it has no scopes to check yet.
        _unauthorized(NOT_KNOWN, [has_key], ', error="invalid_token"'),
        _unauthorized(NO_KEY, [missing]),
        _unauthorized(REASON, [], ', error="invalid_token"'),
        _mapper(429, "TooManyRequestsException", RATE, []),
    ]


def _spelled(scope: str) -> str:
    return f"{scope}, or {scope}:MODEL of this model" if scope in INFERENCE else scope


def _unauthorized(message: str, more: list[Json], error: str = "") -> Json:
    added = header_additions({"www-authenticate": CHALLENGE + error}, "OVERWRITE_IF_EXISTS_OR_ADD")
    return {**_mapper(403, "UnauthorizedException", message, more), "status_code": 401, "headers_to_add": added}


def _mapper(status: int, kind: str, message: str, more: list[Json]) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"marina.refusal_{status}"}}
    conditions = [{"status_code_filter": {"comparison": comparison}}, *more]
    return {
        "filter": {"and_filter": {"filters": conditions}} if more else conditions[0],
        "body_format_override": {"json_format": {"code": "%RESPONSE_CODE%", "type": kind, "message": message}},
    }


def _below(path: str) -> Json:
    pattern = {"regex": rf"{path}(/[^?]*)?(\?.*)?"}
    return {"header_filter": {"header": {"name": ":path", "string_match": {"safe_regex": pattern}}}}


def _metadata(filter_name: str, path: list[str], value: Json) -> Json:
    matcher = {"filter": filter_name, "path": [{"key": key} for key in path], "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}
