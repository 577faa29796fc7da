"""A pool of keep-alive connections for requests at any time; a request waits if no connection is free."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

from benchmarks.load.connection import Connection
from benchmarks.load.wire import BrokenResponseError, Target


class Pool:
    """Connections with one thread. `submit` may be called from any thread; the pool's own calls `done`.

    `done(ticket, number, body)`: the body is None where the status was not 200 or the connection broke.
    """

    def __init__(self, target: Target, connections: int, done: Callable[[int, int, bytes | None], None]) -> None:
        self.target, self.done = target, done
        self.waiting: deque[tuple[int, int]] = deque()
        self.lock, self.closing = threading.Lock(), False
        self.poll, self.wake = select.epoll(), os.eventfd(0)
        self.poll.register(self.wake, select.EPOLLIN)
        self.connections: dict[int, Connection] = {}
        self.tickets: dict[int, int] = {}  # of the request in flight, by descriptor
        self.free = deque(self._open() for _ in range(connections))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def submit(self, ticket: int, number: int) -> None:
        """Send request `number` of the target, now or as soon as a connection is free."""
        with self.lock:
            self.waiting.append((ticket, number))
            self._send_waiting()

    def close(self) -> None:
        """Stop the thread and close all connections; no request may be in flight."""
        self.closing = True
        os.eventfd_write(self.wake, 1)
        self.thread.join()
        for connection in self.connections.values():
            connection.socket.close()
        self.poll.close()
        os.close(self.wake)

    def _open(self) -> Connection:
        connection = Connection(self.target, 0)
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _send_waiting(self) -> None:
        while self.free and self.waiting:
            connection = self.free.popleft()
            self.tickets[connection.socket.fileno()], connection.number = self.waiting.popleft()
            try:
                if not connection.send():
                    self.poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)
            except OSError:
                continue  # the pool's thread finds the connection broken and reports it

    def _run(self) -> None:
        while not self.closing:
            for descriptor, event in self.poll.poll():
                if descriptor != self.wake:
                    self._serve(self.connections[descriptor], event)

    def _serve(self, connection: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT and connection.flush():
                self.poll.modify(connection.socket, select.EPOLLIN)
            reply = connection.receive() if event & ~select.EPOLLOUT else None
        except (BrokenResponseError, OSError):
            self._finish(connection, None, broken=True)
        else:
            if reply is not None:
                status, body = reply
                self._finish(connection, body if status == 200 else None, broken=False)

    def _finish(self, connection: Connection, body: bytes | None, *, broken: bool) -> None:
        descriptor = connection.socket.fileno()
        with self.lock:
            ticket = self.tickets.pop(descriptor, None)  # None: an idle connection was closed by the server
            number = connection.number
            if broken:
                if ticket is None:
                    self.free.remove(connection)
                del self.connections[descriptor]
                connection.socket.close()
                connection = self._open()
            self.free.append(connection)
            self._send_waiting()
        if ticket is not None:
            self.done(ticket, number, body)
