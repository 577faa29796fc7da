"""One client that holds connections, streams and bodies: Envoy stays small, and others get their responses."""

import contextlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.experiments.routing.envoy_instance import EnvoyInstance, temporary_envoy
from tests.serve.support.bundle import eventually

pytestmark = pytest.mark.serve

ATTACKER = "127.0.0.2"  # another address than that of the innocent client
PATH = "/predictions/a"
MIB = 1 << 20
LONGEST = 32 * MIB
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: marina\r\ncontent-length: {{}}\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, GOAWAY = 1, 3, 4, 7
END_HEADERS = 4


@contextlib.contextmanager
def envoy_with(tmp_path, **limits) -> Iterator[EnvoyInstance]:
    with temporary_envoy(tmp_path, **limits) as envoy:
        envoy.publish()
        yield envoy


def connection(envoy: EnvoyInstance) -> socket.socket:
    return socket.create_connection(("127.0.0.1", envoy.settings.port), timeout=30, source_address=(ATTACKER, 0))


def is_open(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return bool(peer.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def innocents(envoy: EnvoyInstance, count: int = 20) -> set[int]:
    """Return the statuses of another client's requests."""
    return {response.status for response in envoy.send([{}] * count, PATH)}


def stat(envoy: EnvoyInstance, name: str) -> int:
    """Return the sum of the statistics whose names match."""
    lines = envoy.admin("/stats", filter=name).text.splitlines()
    return sum(int(line.rpartition(": ")[2]) for line in lines)


def megabytes(envoy: EnvoyInstance) -> int:
    assert envoy.process
    return psutil.Process(envoy.process.pid).memory_info().rss // MIB


def test_bodies_without_their_last_byte_do_not_fill_the_memory(tmp_path):
    with envoy_with(tmp_path) as envoy, contextlib.ExitStack() as stack:
        innocents(envoy)
        before = megabytes(envoy)
        peers = [stack.enter_context(connection(envoy)) for _ in range(30)]

        def withhold(peer: socket.socket) -> None:
            peer.sendall(HEAD.format(LONGEST).encode() + bytes(LONGEST - 1))

        threads = [threading.Thread(target=withhold, args=(peer,)) for peer in peers]
        for thread in threads:
            thread.start()
        statuses = innocents(envoy)
        for thread in threads:
            thread.join()
        assert stat(envoy, "http.public.downstream_rq_active") == len(peers)  # all are held
        after = megabytes(envoy)
        print(f"30 bodies of 32 MB: Envoy's memory {before} MB -> {after} MB")
        assert after - before < 150
        assert statuses | innocents(envoy) == {200}
        peers[0].sendall(b"x")
        assert b"200 OK" in peers[0].recv(100)


@pytest.mark.parametrize("size", [300_000, MIB + 1, LONGEST])
def test_a_long_body_that_envoy_refuses_itself_does_not_end_it(tmp_path, size):
    """file_system_buffer passes on what waits on disk while the router has already responded."""
    with envoy_with(tmp_path) as envoy, httpx.Client(base_url=envoy.settings.url, trust_env=False) as client:
        statuses = {client.post("/none", content=bytes(size)).status_code for _ in range(5)}
        assert statuses == {404}
        assert envoy.process.poll() is None


def test_a_body_that_never_ends_is_ended(tmp_path):
    with envoy_with(tmp_path, request_timeout=1) as envoy, connection(envoy) as peer:
        peer.sendall(HEAD.format(1000).encode())
        peer.settimeout(0.1)
        response, started = b"", time.monotonic()
        while not response and time.monotonic() - started < 30:
            peer.send(b"x")  # never idle
            with contextlib.suppress(TimeoutError):
                response = peer.recv(10_000)
        assert response.startswith(b"HTTP/1.1 408")
        assert b'"type":"RequestTimeoutException"' in response


def test_headers_and_paths_have_limits(tmp_path):
    with envoy_with(tmp_path) as envoy:
        assert envoy.send([{"x-long": "a" * 40_000}], PATH)[0].status == 431
        assert envoy.send([{f"x-{number}": "a" for number in range(200)}], PATH)[0].status == 431
        assert envoy.send([{}], "/predictions/..%2f..%2fmodels")[0].status == 400


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing, of fewer than 127 bytes (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frames(peer: socket.socket, last: int, seconds: float = 10) -> list[tuple[int, int, bytes]]:
    """Return kind, stream and payload of what arrives until stream `last` is reset, or the connection ends."""
    peer.settimeout(seconds)
    content, found = b"", []
    with contextlib.suppress(OSError):
        while received := peer.recv(65_536):
            content += received
            while len(content) >= 9 and len(content) >= 9 + (size := int.from_bytes(content[:3])):
                found.append((content[3], int.from_bytes(content[5:9]), content[9 : 9 + size]))
                content = content[9 + size :]
            if (RST_STREAM, last) in {(kind, stream) for kind, stream, _ in found}:
                break
    return found


def test_streams_of_one_connection_are_bounded(tmp_path):
    request = b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", PATH.encode()),
            (b":authority", b"a"),
        )
    )
    streams = [2 * number + 1 for number in range(1024)]
    with envoy_with(tmp_path) as envoy, connection(envoy) as peer:
        opened = b"".join(frame(HEADERS, END_HEADERS, stream, request) for stream in streams)
        peer.sendall(PREFACE + frame(SETTINGS, 0, 0) + opened)
        found = frames(peer, streams[-1])
        (settings, *_) = (payload for kind, _, payload in found if kind == SETTINGS and payload)
        parameters = dict(struct.unpack_from(">HI", settings, at) for at in range(0, len(settings), 6))
        refused = {stream for kind, stream, _ in found if kind == RST_STREAM}
        active = stat(envoy, "http.public.downstream_rq_active")
        closed = any(kind == GOAWAY for kind, _, _ in found)
        print(f"1,024 streams: {parameters[3]} allowed, {active} active, {len(refused)} reset, closed: {closed}")
        assert parameters[3] == 100
        assert active <= 100
        assert closed or len(refused) >= 1024 - 100
        assert innocents(envoy) == {200}


def test_silent_connections_of_one_client_lock_nobody_out(tmp_path):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = 10_100 if most == resource.RLIM_INFINITY else min(10_100, most - 2000)
    try:
        with envoy_with(tmp_path, idle_timeout=5) as envoy, contextlib.ExitStack() as stack:
            peers = [stack.enter_context(connection(envoy)) for _ in range(count)]
            assert innocents(envoy) == {200}
            eventually(
                lambda: stat(envoy, "http.public.downstream_cx_active") <= 1010, "connections beyond 1,000 close"
            )
            active = stat(envoy, r"connection_limit\..*\.active_connections")
            print(f"{count} silent connections: {active} accepted, Envoy's memory {megabytes(envoy)} MB")
            assert innocents(envoy) == {200}
            eventually(lambda: not any(map(is_open, peers)), "silent connections are closed", 30)
            # The attacker's own address is served again, too.
            with connection(envoy) as peer:
                peer.sendall(HEAD.format(0).encode())
                assert b"200 OK" in peer.recv(100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
