"""Content types on the way to TorchServe, which must parse no form: its parser has no limits (CVE-2024-29025).

Archives with a card read forms and JSON themselves: their requests arrive as application/octet-stream, and a header of
Marina's carries what the client sent. Foreign archives get the client's content type, and a form only if their
model-config.yaml has `acceptForms: true`, and only a small one.
"""

from collections.abc import Sequence

from marina import headers
from marina.serving.envoy.config import Json, header_additions
from marina.serving.envoy.route_state import VersionRouteState

UNPARSED = "application/octet-stream"
ACCEPT_FORMS = "acceptForms"  # in model-config.yaml
# Netty parses these two, whatever the case and the parameters; Envoy joins several headers by commas.
MULTIPART, URLENCODED = "form-data", "form-urlencoded"
# Bytes of a form for a foreign archive. Netty needs a hundred bytes for three of a=&a=&...
MAX_MULTIPART_BYTES, MAX_URLENCODED_BYTES = 1 << 20, 16 << 10
NO_FORMS = (
    f"this model takes no forms: send the file itself as the body (its owner may set {ACCEPT_FORMS} in its "
    "model-config.yaml)"
)
LARGE_FORM = (
    f"this model takes forms with a content-length of at most {MAX_MULTIPART_BYTES} bytes (multipart/form-data) or "
    f"{MAX_URLENCODED_BYTES} bytes (urlencoded): send the file itself as the body"
)


def with_content_type(route: Json, version: VersionRouteState, inner: bool = False) -> list[Json]:
    """Return the routes to a version in the place of `route`: its content type as the version needs it, and for a
    foreign archive the refusals of forms before it.

    On the inner listener the content type may have been hidden on the public one, for another version.
    """
    names = (headers.CONTENT_TYPE, headers.SENT_CONTENT_TYPE) if inner else (headers.CONTENT_TYPE,)
    # The header that another node or the public listener has set wins; request.lua lets no other through.
    sent = f"%REQ({headers.SENT_CONTENT_TYPE.upper()}?{headers.CONTENT_TYPE.upper()})%"
    if version.has_card:
        return [_adding(route, {headers.SENT_CONTENT_TYPE: sent, headers.CONTENT_TYPE: UNPARSED})]
    allowed = _adding(route, {headers.CONTENT_TYPE: sent}) if inner else route
    small_forms = allowed if version.accepts_forms else None
    return [*refused_forms(route["match"], small_forms, names), allowed]


def refused_forms(
    match: Json, small_forms: Json | None = None, names: Sequence[str] = (headers.CONTENT_TYPE,)
) -> list[Json]:
    """Return routes that refuse forms among the requests of a match, after the route for `small_forms`, if any.

    `names` are the headers that may hold the content type.
    """
    routes = []
    for name in names:
        for kind, limit in ((MULTIPART, MAX_MULTIPART_BYTES), (URLENCODED, MAX_URLENCODED_BYTES)):
            form = {"name": name, "string_match": {"contains": kind, "ignore_case": True}}
            if small_forms is not None:
                small = {"name": "content-length", "range_match": {"start": 0, "end": limit + 1}}
                routes.append(small_forms | {"match": _narrowed(match, form, small)})
            refusal = {"status": 415, "body": {"inline_string": LARGE_FORM if small_forms else NO_FORMS}}
            routes.append({"match": _narrowed(match, form), "direct_response": refusal})
    return routes


def _narrowed(match: Json, *conditions: Json) -> Json:
    return match | {"headers": [*match.get("headers", []), *conditions]}


def _adding(route: Json, values: dict[str, str]) -> Json:
    added = header_additions(values, "OVERWRITE_IF_EXISTS_OR_ADD")
    return route | {"request_headers_to_add": [*route.get("request_headers_to_add", []), *added]}
