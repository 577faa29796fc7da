"""The certificate authority for trials, and its certificates."""

import ssl
import stat

import pytest
from cryptography import x509
from typer.testing import CliRunner

from marina.cli.main import app
from marina.errors import MarinaError
from marina.security.tls import CLIENT, SERVER, Authority, KeyPair, check_pair


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("trial")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Do the TLS handshake in memory; raises ssl.SSLError."""
    ends = (ssl.MemoryBIO(), ssl.MemoryBIO())
    peers = [
        server.wrap_bio(ends[0], ends[1], server_side=True),
        client.wrap_bio(ends[1], ends[0], server_hostname=host),
    ]
    waiting = [True, True]
    for _ in range(10):
        for index in (1, 0):
            if waiting[index]:
                try:
                    peers[index].do_handshake()
                    waiting[index] = False
                except ssl.SSLWantReadError:
                    pass
        if not any(waiting):
            return
    raise AssertionError("the handshake does not end")


def server_context(folder, pair: KeyPair) -> ssl.SSLContext:
    pair.write(folder / "cert.pem", folder / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def client_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("host", ["node-1.example", "10.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_accepts_its_certificates(authority, tmp_path, host):
    server = server_context(tmp_path, authority.issue(["node-1.example", "10.0.0.1", "::1"]))
    handshake(server, client_context(authority), host)


def test_another_host_and_another_authority_are_refused(authority, tmp_path):
    server = server_context(tmp_path, authority.issue(["node-1.example"]))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server, client_context(authority), "node-2.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client_context(Authority.create("trial")), "node-1.example")


def test_usages_and_constraints(authority):
    node = authority.issue(["a"], [SERVER, CLIENT]).certificate.extensions
    assert list(node.get_extension_for_class(x509.ExtendedKeyUsage).value) == [SERVER, CLIENT]
    assert node.get_extension_for_class(x509.BasicConstraints).value.ca is False
    own = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (own.ca, own.path_length) == (True, 0)


def test_a_host_must_be_a_name_or_an_address(authority):
    with pytest.raises(MarinaError, match="neither a host name nor an IP address"):
        authority.issue(["." * 300])


def test_keys_are_their_owners_alone_and_nothing_is_overwritten(authority, tmp_path):
    files = tmp_path / "new" / "ca.pem", tmp_path / "new" / "ca-key.pem"
    authority.write(*files)
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600
    with pytest.raises(MarinaError, match=r"ca\.pem exists"):
        Authority.create("again").write(*files)
    loaded = Authority.load(*files)
    assert loaded.certificate == authority.certificate
    assert loaded.issue(["a"]).certificate.issuer == authority.certificate.subject


def test_a_key_of_another_certificate_is_refused(authority):
    one, other = authority.issue(["a"]), authority.issue(["a"])
    check_pair(one.certificate_pem, one.key_pem)
    with pytest.raises(MarinaError, match="not that of the certificate"):
        check_pair(one.certificate_pem, other.key_pem)
    with pytest.raises(MarinaError, match="can't be read"):
        check_pair(one.certificate_pem, b"nothing")


def test_tls_init_makes_what_serve_takes(tmp_path):
    folder = tmp_path / "tls"
    command = ["tls", "init", "--host", "models.example", "--folder", str(folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert f"marina serve --cert {folder}/cert.pem --key {folder}/key.pem" in result.output
    assert {file.name for file in folder.iterdir()} == {"ca.pem", "ca-key.pem", "cert.pem", "key.pem"}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    authority = Authority.load(folder / "ca.pem", folder / "ca-key.pem")
    for host in ("models.example", "localhost", "127.0.0.1"):
        handshake(context, client_context(authority), host)
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, MarinaError)
    assert "exists: remove it" in str(again.exception)
