"""A server that does nothing: it sends the same response to every request, as fast as Python can.

The client's rate against it is the highest that it could measure. `python -m benchmarks.load.noop_server PORT`.
"""

import select
import socket
import sys

BODY = b'{"prediction": 1.0}'


def reply(body: bytes = BODY, status: int = 200) -> bytes:
    """Return the bytes of a response."""
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def missing(buffer: bytes) -> int:
    """Return the number of bytes of the request that are missing; 0 if it is complete."""
    head, found, body = buffer.partition(b"\r\n\r\n")
    if not found:
        return 1
    lowered = head.lower()
    length = int(lowered.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0] or 0)
    return max(0, length - len(body))


def serve(listener: socket.socket, response: bytes) -> None:
    """Serve until the process ends."""
    poll, listening = select.epoll(), listener.fileno()
    poll.register(listening, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    buffers: dict[int, bytes] = {}
    remaining: dict[int, int] = {}  # bytes to come, so that a long body is parsed once
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listening:
                client = listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()], buffers[client.fileno()], remaining[client.fileno()] = client, b"", 0
                poll.register(client, select.EPOLLIN)
                continue
            try:
                part = clients[descriptor].recv(1 << 18)
            except OSError:
                part = b""
            if not part:
                clients.pop(descriptor).close()
                continue
            remaining[descriptor] -= len(part)
            buffers[descriptor] += part
            if remaining[descriptor] <= 0:
                remaining[descriptor] = missing(buffers[descriptor])
                if not remaining[descriptor]:
                    buffers[descriptor] = b""
                    clients[descriptor].sendall(response)


def main(port: int) -> None:
    serve(socket.create_server(("127.0.0.1", port), backlog=128), reply())


if __name__ == "__main__":
    main(int(sys.argv[1]))
