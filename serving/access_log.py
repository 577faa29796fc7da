"""What Envoy writes down of each request."""

from pathlib import Path

from serving.envoy import Json, typed
from serving.settings import Settings


def access_log() -> Json:
    """Of every request, to stdout, which the supervisor writes to var/logs/access.log and rotates."""
    fields = {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
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
    return settings.var / "exposures" / "exposures.jsonl"


def exposures(settings: Settings, mark: str) -> Json:
    """Of the requests that carry the header `mark`: who was given which variant, and what came of it.

    A file, not a stream to control: what happens while control is away is read when it is back.
    """
    fields = {
        "time": "%START_TIME(%s.%6f)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "experiment": "%REQ(X-MARINA-EXPERIMENT)%",
        "key": "%REQ(X-MARINA-KEY)%",
        "assigned": "%REQ(X-MARINA-VARIANT)%",
        "mirror": "%REQ(X-MARINA-MIRROR)%",
        "variant": "%RESP(X-VARIANT)%",
        "source": "%RESP(X-VARIANT-SOURCE)%",
        "prediction": "%RESP(X-PREDICTION)%",
        "status": "%RESPONSE_CODE%",
        "microseconds": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
        "flags": "%RESPONSE_FLAGS%",
    }
    log = typed(
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=str(exposures_file(settings)),
        log_format={"json_format": fields},
    )
    marked = {"header_filter": {"header": {"name": mark, "present_match": True}}}
    return {"name": "file", "filter": marked, "typed_config": log}
