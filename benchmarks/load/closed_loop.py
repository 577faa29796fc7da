"""A closed loop: each connection sends its next request when a response arrives. One thread, epoll, no HTTP library."""

import gc
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.load.connection import Connection
from benchmarks.load.wire import BrokenResponseError, Target

KEPT_BODIES, STRIDE = 256, 997


@dataclass
class Result:
    """Result of one run: responses in the window, latencies in seconds, errors and wrong responses."""

    seconds: float
    responses: int
    errors: int
    latencies: list[float] = field(repr=False)
    bodies: list[tuple[int, bytes]] = field(repr=False)  # a sample: number of the request, body of the response
    wrong: int = 0

    @property
    def rate(self) -> float:
        return self.responses / self.seconds

    def quantile(self, q: float) -> float:
        """Return a quantile of the latency in seconds; NaN without a response."""
        return float(np.quantile(self.latencies, q)) if self.latencies else float("nan")


class ClosedLoop:
    """Runs `concurrency` connections against a target until `deadline`; counts responses from `start` on."""

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
        """Run the loop, close all connections, and return the result."""
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
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        connection.number = self.next
        self.next = (self.next + 1) % len(self.target.requests)
        if not connection.send():
            self.poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _serve(self, connection: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT and connection.flush():
                self.poll.modify(connection.socket, select.EPOLLIN)
            reply = connection.receive() if event & ~select.EPOLLOUT else None
            if reply is not None:
                self._count(connection, *reply)
                self._send(connection)
        except (BrokenResponseError, OSError):
            self.result.errors += 1
            del self.connections[connection.socket.fileno()]
            connection.socket.close()  # this removes it from epoll
            self._open()

    def _count(self, connection: Connection, status: int, body: bytes) -> None:
        now, result = time.perf_counter(), self.result
        if status != 200:
            result.errors += 1
        elif self.start <= now < self.deadline:
            result.responses += 1
            result.latencies.append(now - connection.since)
        # The first responses of the window, then some of the others: the sample must span the run.
        if status == 200 and self.start <= now and (len(result.bodies) < KEPT_BODIES or result.responses % STRIDE == 0):
            result.bodies.append((connection.number, body))


def closed_loop(
    target: Target,
    concurrency: int,
    seconds: float,
    warm_up: float = 1.0,
    is_right: Callable[[int, object], bool] | None = None,
) -> Result:
    """Run a closed loop; `wrong` counts responses of the sample that `is_right` rejects or that can't be parsed."""
    result = ClosedLoop(target, concurrency, warm_up, seconds).run()
    if is_right is not None:
        result.wrong = sum(not _reads_right(target, is_right, number, body) for number, body in result.bodies)
    return result


def _reads_right(target: Target, is_right: Callable[[int, object], bool], number: int, body: bytes) -> bool:
    try:
        return is_right(number, target.read(body))
    except (ValueError, KeyError, TypeError, IndexError):
        return False
