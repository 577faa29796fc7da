"""A closed loop: each connection asks anew as soon as it is answered. One thread, epoll, no HTTP library."""

import gc
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, SO_SNDBUF, SOL_SOCKET, TCP_NODELAY, create_connection
from socket import socket as Socket

import numpy as np

from benchmarks.wire import BrokenReplyError, Target, split

KEPT_BODIES, STRIDE = 256, 997
RECEIVE, SEND_BUFFER = 1 << 16, 1 << 19


@dataclass
class Result:
    """What one run measured: answers a second of the window, latencies in seconds, and what went wrong."""

    seconds: float
    answers: int
    errors: int
    latencies: list[float] = field(repr=False)
    bodies: list[tuple[int, bytes]] = field(repr=False)  # a sample: number of the request, body of the reply
    wrong: int = 0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    def quantile(self, q: float) -> float:
        """Latency in seconds; NaN without an answer."""
        return float(np.quantile(self.latencies, q)) if self.latencies else float("nan")


@dataclass
class Connection:
    """One keep-alive connection with at most one request under way."""

    target: Target
    number: int  # of the request that is under way, in target.requests
    socket: Socket = field(init=False)
    buffer: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    since: float = 0.0

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.socket = create_connection((self.target.host, self.target.port), timeout=10)
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.socket.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        self.socket.setblocking(False)

    def ask(self) -> bool:
        """Send the request; False if the socket took only a part, the rest of which `flush` sends."""
        self.buffer.clear()
        self.unsent = memoryview(self.target.requests[self.number])
        self.since = time.perf_counter()
        return self.flush()

    def flush(self) -> bool:
        """Send what the socket takes; True when nothing is left. Raises OSError if the server has hung up."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return False
        return not self.unsent

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body once the reply is whole. Raises BrokenReplyError, or OSError."""
        part = self.socket.recv(RECEIVE)
        if not part:
            raise BrokenReplyError("hung up")
        self.buffer += part
        return split(self.buffer)


class ClosedLoop:
    """Runs `concurrency` connections against a target until `deadline`; counts what is answered from `start` on."""

    def __init__(self, target: Target, concurrency: int, warm_up: float, seconds: float) -> None:
        self.target, self.poll = target, select.epoll()
        self.start = time.perf_counter() + warm_up
        self.deadline = self.start + seconds
        self.result = Result(seconds, 0, 0, [], [])
        self.next = 0
        self.connections: dict[int, Connection] = {}
        for _ in range(concurrency):
            self._open()

    def run(self) -> Result:
        """The result, with all connections closed."""
        gc.disable()
        try:
            while time.perf_counter() < self.deadline:
                for descriptor, event in self.poll.poll(0.1):
                    self._serve(self.connections[descriptor], event)
        finally:
            gc.enable()
            self.poll.close()
            for connection in self.connections.values():
                connection.socket.close()
        return self.result

    def _open(self) -> None:
        connection = Connection(self.target, 0)
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        connection.number = self.next
        self.next = (self.next + 1) % len(self.target.requests)
        if not connection.ask():
            self.poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _serve(self, connection: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT and connection.flush():
                self.poll.modify(connection.socket, select.EPOLLIN)
            reply = connection.receive() if event & ~select.EPOLLOUT else None
            if reply is not None:
                self._count(connection, *reply)
                self._ask(connection)
        except (BrokenReplyError, OSError):
            self.result.errors += 1
            del self.connections[connection.socket.fileno()]
            connection.socket.close()  # epoll forgets it by that
            self._open()

    def _count(self, connection: Connection, status: int, body: bytes) -> None:
        now, result = time.perf_counter(), self.result
        if status != 200:
            result.errors += 1
        elif self.start <= now < self.deadline:
            result.answers += 1
            result.latencies.append(now - connection.since)
        # The first answers of the window, and then some of the others: the sample must span the run.
        if status == 200 and self.start <= now and (len(result.bodies) < KEPT_BODIES or result.answers % STRIDE == 0):
            result.bodies.append((connection.number, body))


def closed_loop(
    target: Target,
    concurrency: int,
    seconds: float,
    warm_up: float = 1.0,
    is_right: Callable[[int, object], bool] | None = None,
) -> Result:
    """Measure; with `is_right`, replies of the sample that are wrong or can't be read are counted in `wrong`."""
    result = ClosedLoop(target, concurrency, warm_up, seconds).run()
    if is_right is not None:
        result.wrong = sum(not _reads_right(target, is_right, number, body) for number, body in result.bodies)
    return result


def _reads_right(target: Target, is_right: Callable[[int, object], bool], number: int, body: bytes) -> bool:
    try:
        return is_right(number, target.read(body))
    except (ValueError, KeyError, TypeError, IndexError):
        return False
