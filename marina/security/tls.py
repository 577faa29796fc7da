"""Certificate authority for trials, and certificates that servers and clients prove themselves with (X.509, P-256)."""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from marina.errors import MarinaError

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397  # what browsers accept at most
CLOCK_SKEW = timedelta(minutes=5)  # of a client whose clock is behind
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM (PKCS#8, not encrypted)."""
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(pem, form, serialization.NoEncryption())

    def write(self, certificate: Path, key: Path) -> None:
        """Write both files, the key for its owner alone; raises MarinaError rather than overwrite one."""
        for file in (certificate, key):
            if file.exists():
                raise MarinaError(f"{file} exists: remove it, or choose another folder")
        certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file, content in ((key, self.key_pem), (certificate, self.certificate_pem)):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(content)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> Self:
        """Read both files; raises MarinaError if they are no P-256 pair."""
        check_pair(certificate.read_bytes(), key.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise MarinaError(f"{key} is not a key of `marina tls init`")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), private)


class Authority(KeyPair):
    """A certificate authority: its certificate is what clients trust."""

    @classmethod
    def create(cls, name: str) -> Self:
        """Return a new authority of that common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        builder = (
            _builder(subject, subject, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    def issue(
        self, hosts: Sequence[str], usages: Sequence[x509.ObjectIdentifier] = (SERVER,), days: int = LEAF_DAYS
    ) -> KeyPair:
        """Return a certificate for host names and IP addresses; `usages` are SERVER, CLIENT or both.

        >>> pair = Authority.create("trial").issue(["node-1", "10.0.0.1"], [SERVER, CLIENT])
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(_name(hosts[0]), self.certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        )
        return KeyPair(builder.sign(self.key, hashes.SHA256()), key)


def check_pair(certificate: bytes, key: bytes) -> None:
    """Raise MarinaError if the PEM texts are not a certificate and its private key, of whatever kind."""
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise MarinaError(f"certificate or key can't be read ({exc}): both must be PEM, without password") from exc
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != private.public_key().public_bytes(*form):
        raise MarinaError("the key is not that of the certificate: give the pair that was issued together")


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode())
    except (UnicodeError, ValueError) as exc:
        raise MarinaError(f"{host!r} is neither a host name nor an IP address") from exc


def _key_usage(**used: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: used.get(name, False) for name in names})
