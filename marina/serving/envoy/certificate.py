"""The certificate of the public port, which Envoy takes from a watched file: a renewed one needs no restart.

Control reads the user's own files at each poll, since tools replace them in different ways: by renaming, by writing in
place, by links. A new certificate waits until its key is there, too.
"""

import logging
from functools import lru_cache
from pathlib import Path

from marina.errors import MarinaError
from marina.security.tls import check_pair
from marina.serving.envoy.config import Json, typed, watched
from marina.settings import Settings

logger = logging.getLogger(__name__)

CERTIFICATE = "certificate"  # name of the secret, and of its file


def tls_context(settings: Settings) -> Json:
    """Return the fields of a TLS context with this certificate."""
    secret = {"name": CERTIFICATE, "sds_config": watched(settings, CERTIFICATE)}
    versions = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    return {"tls_params": versions, "tls_certificate_sds_secret_configs": [secret]}


def secrets(settings: Settings) -> list[Json]:
    """Return the secret with the content of the user's files; empty without HTTPS, or while the files don't match."""
    pair = settings.cert and settings.key and _read(settings.cert, settings.key)
    if not pair:
        return []
    certificate, key = pair
    inline = {"certificate_chain": {"inline_string": certificate}, "private_key": {"inline_string": key}}
    return [typed("extensions.transport_sockets.tls.v3.Secret", name=CERTIFICATE, tls_certificate=inline)]


def _read(cert: Path, key: Path) -> tuple[str, str] | None:
    try:
        return _checked(cert.read_text(), key.read_text())
    except (OSError, UnicodeDecodeError):  # being replaced
        return None


@lru_cache(maxsize=1)  # report the same files once, not at each poll
def _checked(certificate: str, key: str) -> tuple[str, str] | None:
    try:
        check_pair(certificate.encode(), key.encode())
    except MarinaError as exc:
        logger.warning("Envoy keeps the last certificate: %s", exc)
        return None
    return certificate, key
