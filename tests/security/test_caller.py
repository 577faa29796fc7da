"""The header by which Envoy names a caller to control."""

import pytest

from marina.security.caller import Caller, parse


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        ("key=0a1b;name=alice;node=", Caller("0a1b", "alice")),
        ("key=;name=;node=CN=node-1,O=x;y", Caller(node="CN=node-1,O=x;y")),
        ("key=;name=;node=", Caller()),
        ("", Caller()),
        ("key=0a1b", Caller()),
        ("key=xyz;name=alice;node=", Caller()),
        ("key=0a1b;name=alice;node=,key=0a1b;name=eve;node=", Caller("0a1b", "alice", ",key=0a1b;name=eve;node=")),
    ],
)
def test_a_caller_is_read_from_the_header(header, caller):
    assert parse(header) == caller


def test_who_a_caller_is():
    assert parse("key=0a1b;name=alice;node=").who == "alice (key 0a1b)"
    assert parse("key=;name=;node=CN=n1").who == "CN=n1"
    assert [parse(it).verified for it in ("key=0a;name=b;node=", "key=;name=;node=CN=n1", "key=;name=;node=")] == [
        True,
        True,
        False,
    ]
