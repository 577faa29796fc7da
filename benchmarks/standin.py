"""A server that does nothing: it answers every request with the same reply, as fast as Python can.

What the client reaches against it is the most that it could measure. `python -m benchmarks.standin PORT`.
"""

import select
import socket
import sys

BODY = b'{"prediction": 1.0}'


def reply(body: bytes = BODY, status: int = 200) -> bytes:
    """The bytes of a reply."""
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def missing(buffer: bytes) -> int:
    """How many bytes of the request are still to come; 0 if it is whole."""
    head, found, body = buffer.partition(b"\r\n\r\n")
    if not found:
        return 1
    lowered = head.lower()
    length = int(lowered.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0] or 0)
    return max(0, length - len(body))


def serve(listener: socket.socket, answer: bytes) -> None:
    """Answer until the process ends."""
    poll, listening = select.epoll(), listener.fileno()
    poll.register(listening, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    buffers: dict[int, bytes] = {}
    wanted: dict[int, int] = {}  # bytes to come, so that a long body is looked at once
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listening:
                client = listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()], buffers[client.fileno()], wanted[client.fileno()] = client, b"", 0
                poll.register(client, select.EPOLLIN)
                continue
            try:
                part = clients[descriptor].recv(1 << 18)
            except OSError:
                part = b""
            if not part:
                clients.pop(descriptor).close()
                continue
            wanted[descriptor] -= len(part)
            buffers[descriptor] += part
            if wanted[descriptor] <= 0:
                wanted[descriptor] = missing(buffers[descriptor])
                if not wanted[descriptor]:
                    buffers[descriptor] = b""
                    clients[descriptor].sendall(answer)


def main(port: int) -> None:
    serve(socket.create_server(("127.0.0.1", port), backlog=128), reply())


if __name__ == "__main__":
    main(int(sys.argv[1]))
