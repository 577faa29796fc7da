"""Audit log: who did what, of requests that change something, and of those that were refused.

One JSON object a line in var/logs/audit.log. Control rotates it (marina.serving.key_publisher). It never holds a token.
"""

from pathlib import Path

from marina import headers
from marina.security.caller import CLAIM
from marina.security.scopes import EXPERIMENTS, FEEDBACK, MANAGE
from marina.serving.envoy.access import PATHS
from marina.serving.envoy.config import Json, typed
from marina.settings import Settings

REFUSED = (401, 403, 429)
# Envoy refuses requests with a content type of gRPC by status 200 and one of these.
REFUSED_GRPC = ("UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED")
MAX_BYTES, BACKUPS = 20_000_000, 5


def audit_file(settings: Settings) -> Path:
    """Return the audit log."""
    return settings.logs / "audit.log"


def access_logs(settings: Settings) -> list[Json]:
    """Return Envoy's access log that is the audit log; none where requests need no key."""
    if not settings.keys_required:
        return []
    fields = {
        "time": "%START_TIME%",
        "request_id": f"%REQ({headers.REQUEST_ID.upper()})%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "key": CLAIM.format(name="jti"),
        "name": CLAIM.format(name="sub"),
        "node": "%DOWNSTREAM_PEER_SUBJECT%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
    }
    kind = "extensions.access_loggers.file.v3.FileAccessLog"
    log = typed(kind, path=str(audit_file(settings)), log_format={"json_format": fields})
    audited = [_below(path) for scope in (FEEDBACK, EXPERIMENTS, MANAGE) for path in PATHS[scope]]
    grpc = {"grpc_status_filter": {"statuses": list(REFUSED_GRPC)}}
    either = {"or_filter": {"filters": [*audited, *map(_status, REFUSED), grpc]}}
    return [{"name": "audit", "filter": either, "typed_config": log}]


def _below(path: str) -> Json:
    return {"header_filter": {"header": {"name": ":path", "string_match": {"prefix": path}}}}


def _status(status: int) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"marina.audit_{status}"}}
    return {"status_code_filter": {"comparison": comparison}}


def rotate(file: Path) -> bool:
    """Rename a log that is long to `<name>.1`, and older ones on; return whether Envoy must open its logs again."""
    if not file.exists() or file.stat().st_size < MAX_BYTES:
        return False
    for number in range(BACKUPS, 1, -1):
        older = file.with_name(f"{file.name}.{number - 1}")
        if older.exists():
            older.replace(file.with_name(f"{file.name}.{number}"))
    file.replace(file.with_name(f"{file.name}.1"))
    return True
