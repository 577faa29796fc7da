"""A minimal HTTP/1.1 client protocol: requests encoded beforehand, responses split from a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

HEAD_END = b"\r\n\r\n"


class BrokenResponseError(Exception):
    """The server sent no valid HTTP response, or closed the connection within one."""


class Reader(Protocol):
    """Parser of a stack's response, which returns JSON in the benchmark's shape."""

    def __call__(self, body: bytes, /) -> Any: ...


@dataclass(frozen=True)
class Target:
    """Address of a stack, the bytes of each request, and the parser of its responses."""

    host: str
    port: int
    requests: Sequence[bytes]
    read: Reader


def request(path: str, body: bytes, headers: Mapping[str, str], host: str = "127.0.0.1") -> bytes:
    """Return the bytes of a keep-alive POST request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + HEAD_END + body


def split(buffer: bytes | bytearray) -> tuple[int, bytes] | None:
    """Return status and body of the response in `buffer`; None while it is incomplete. Raises BrokenReplyError."""
    end = buffer.find(HEAD_END)
    if end < 0:
        return None
    head, start = bytes(buffer[:end]).lower(), end + len(HEAD_END)
    if not head.startswith(b"http/1.") or not head[9:12].isdigit():
        raise BrokenResponseError(head[:80].decode("latin-1"))
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        length = int(head[place + 17 :].split(b"\r\n", 1)[0])
        return (int(head[9:12]), bytes(buffer[start : start + length])) if len(buffer) >= start + length else None
    if b"\r\ntransfer-encoding: chunked" not in head:
        raise BrokenResponseError("a reply without a length")
    body = _unchunked(buffer, start)
    return None if body is None else (int(head[9:12]), body)


def _unchunked(buffer: bytes | bytearray, place: int) -> bytes | None:
    """Return the body whose first chunk begins at `place`; None while the last chunk is missing. Ignores trailers."""
    parts: list[bytes] = []
    while True:
        line = buffer.find(b"\r\n", place)
        if line < 0:
            return None
        size = int(bytes(buffer[place:line]).split(b";")[0], 16)
        place = line + 2
        if len(buffer) < place + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(bytes(buffer[place : place + size]))
        place += size + 2
