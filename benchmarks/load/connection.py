"""A non-blocking keep-alive connection, which both loops use: sends requests and splits responses."""

import time
from dataclasses import dataclass, field
from socket import IPPROTO_TCP, SO_SNDBUF, SOL_SOCKET, TCP_NODELAY, create_connection
from socket import socket as Socket

from benchmarks.load.wire import BrokenResponseError, Target, split

RECEIVE, SEND_BUFFER = 1 << 16, 1 << 19


@dataclass
class Connection:
    """One keep-alive connection with at most one request in flight."""

    target: Target
    number: int  # index in target.requests of the request in flight
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

    def send(self) -> bool:
        """Send the request. False if the socket took only a part; `flush` sends the rest."""
        self.buffer.clear()
        self.unsent = memoryview(self.target.requests[self.number])
        self.since = time.perf_counter()
        return self.flush()

    def flush(self) -> bool:
        """Send what the socket takes. True when nothing is left. Raises OSError if the server closed the connection."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return False
        return not self.unsent

    def receive(self) -> tuple[int, bytes] | None:
        """Return status and body once the response is complete. Raises BrokenReplyError or OSError."""
        part = self.socket.recv(RECEIVE)
        if not part:
            raise BrokenResponseError("hung up")
        self.buffer += part
        return split(self.buffer)
