"""TLS of the public port: old versions are refused, and a renewed certificate is served without a restart."""

import socket
import ssl
import warnings

import pytest
from cryptography import x509

from marina.security.tls import Authority, KeyPair
from marina.serving.envoy import gateway
from marina.settings import Settings
from tests.experiments.routing.envoy_instance import temporary_envoy
from tests.serve.support.bundle import eventually

pytestmark = pytest.mark.serve


def handshake(settings: Settings, authority: Authority, version: ssl.TLSVersion | None = None) -> tuple[str, int]:
    """Return the TLS version, and the serial number of the server's certificate."""
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that this side would agree to any version
    with (
        socket.create_connection(("127.0.0.1", settings.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
    ):
        return str(peer.version()), x509.load_der_x509_certificate(peer.getpeercert(True) or b"").serial_number


def test_tls_versions_and_renewal(tmp_path):
    authority = Authority.create("trial")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first, second = (authority.issue(["127.0.0.1"]) for _ in range(2))
    first.write(cert, key)
    with temporary_envoy(tmp_path, cert=cert, key=key) as envoy:
        envoy.publish()
        settings, serial = envoy.settings, first.certificate.serial_number
        assert handshake(settings, authority, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", serial)
        assert handshake(settings, authority, ssl.TLSVersion.TLSv1_3) == ("TLSv1.3", serial)
        for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                handshake(settings, authority, old)

        def replace(pair: KeyPair, certificate_only: bool = False) -> None:
            """Write in place, as `cp` does; then what control does at each poll."""
            cert.write_bytes(pair.certificate_pem)
            if not certificate_only:
                key.write_bytes(pair.key_pem)
            gateway.publish_certificate(settings)

        replace(second, certificate_only=True)
        assert handshake(settings, authority) == ("TLSv1.3", serial)
        replace(second)
        renewed = second.certificate.serial_number
        eventually(lambda: handshake(settings, authority) == ("TLSv1.3", renewed), "the new certificate is served", 10)
