"""An address that others reach needs keys and TLS; the banner names what is exposed."""

import pytest

from marina.errors import ExposureError
from marina.security import exposure
from marina.settings import Settings


@pytest.fixture
def settings(tmp_path):
    """`settings(host, tls, **more)`."""
    for name in ("cert", "key", "ca"):
        (tmp_path / f"{name}.pem").touch()

    def made(host: str, tls: bool = False, **more) -> Settings:
        pem = {name: tmp_path / f"{name}.pem" for name in ("cert", "key")} if tls else {}
        more = {name: tmp_path / "ca.pem" if name == "ca" else value for name, value in more.items()}
        return Settings(var=tmp_path / "var", host=host, **pem, **more)

    return made


@pytest.mark.parametrize(
    ("host", "tls", "more"),
    [
        ("127.0.0.1", False, {}),
        ("127.8.8.8", False, {}),
        ("localhost", False, {}),
        ("::1", False, {}),
        ("127.0.0.1", False, {"access_keys": True}),
        ("0.0.0.0", True, {}),
        ("node.example.org", True, {}),
        ("0.0.0.0", False, {"insecure": True}),
        ("0.0.0.0", False, {"insecure": True, "access_keys": True}),
        ("10.0.0.1", True, {"nodes": "10.0.0.2:8000", "ca": True}),
        ("127.0.0.1", False, {"nodes": "127.0.0.1:8001"}),
    ],
)
def test_what_may_start(settings, host, tls, more):
    exposure.check(settings(host, tls, **more))


@pytest.mark.parametrize(
    ("host", "tls", "more", "missing"),
    [
        ("0.0.0.0", False, {}, "TLS"),
        ("::", False, {}, "TLS"),
        ("10.0.0.1", False, {"access_keys": True}, "TLS"),
        ("10.0.0.1", True, {"access_keys": False}, "access keys"),
        ("node.example.org", False, {}, "TLS"),
        ("localhost.example.org", False, {}, "TLS"),
        ("10.0.0.1", True, {"nodes": "10.0.0.2:8000"}, "CA="),
        ("127.0.0.1", False, {"nodes": "127.0.0.1:8001", "access_keys": True}, "CA="),
    ],
)
def test_what_must_not_start(settings, host, tls, more, missing):
    with pytest.raises(ExposureError, match=missing):
        exposure.check(settings(host, tls, **more))


def test_keys_are_required_wherever_others_reach_the_port(settings):
    assert not settings("127.0.0.1").keys_required
    assert settings("127.0.0.1", access_keys=True).keys_required
    assert settings("0.0.0.0").keys_required
    assert not settings("0.0.0.0", insecure=True).keys_required
    assert settings("0.0.0.0", insecure=True, access_keys=True).keys_required


def test_the_banner_says_what_is_exposed(settings):
    assert exposure.banner(settings("127.0.0.1"), 0) == []
    first, second = exposure.banner(settings("0.0.0.0", True, port=8443), 2)
    assert first == "exposed: 0.0.0.0:8443 to every machine that reaches it, TLS 1.2 and 1.3"
    assert "by key (2 active)" in second
    text = "\n".join(exposure.banner(settings("0.0.0.0", insecure=True), 0))
    assert "INSECURE" in text
    assert "without TLS" in text
    assert "marina key create" in exposure.banner(settings("127.0.0.1", access_keys=True), 0)[-1]
