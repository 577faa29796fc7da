"""The shim that TorchServe runs instead of Python: `python -IS shim.py [--required] SOCKET SCRIPT ARGUMENT...`.

For a worker it requests a child from the fork server, and represents it: TorchServe waits for the shim, and kills it.
Any other script runs with the real Python, and without a fork server a worker, too, unless the fork server is
--required, because it confines workers. A shim lives as long as its worker, so it imports little, and nothing of
ours.
"""

import os
import socket
import sys
import time

REQUIRED = "--required"
WORKER = "/ts/model_service_worker.py"
WAIT_SECONDS = 10.0  # a fork server that died is restarted sooner
# The exit code of a child whose code is unknown, because the fork server died before it: nearly always a kill -9.
KILLED = 128 + 9


def request(argv: list[str]) -> bytes:
    """Return the message that describes the process.

    It is the length in 8 bytes, then, separated by NUL: working directory, number of arguments, arguments, environment.
    """
    variables = (b"%b=%b" % pair for pair in os.environb.items())
    fields = (os.getcwdb(), b"%d" % len(argv), *map(os.fsencode, argv), *variables)  # noqa: PTH109 - pathlib is big
    body = b"\0".join(fields)
    return len(body).to_bytes(8, "big") + body


def forked(path: str, argv: list[str]) -> int | None:
    """Wait for a forked child and return its exit code; None if there was no child."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            message = request(argv)
            sent = socket.send_fds(connection, [message], [0, 1, 2])
            if rest := message[sent:]:  # sending nothing would fail where the child has ended already
                connection.sendall(rest)
            received = b""
            while received.count(b"\n") < 2 and (part := connection.recv(64)):
                received += part
        except OSError:  # no server, or it died before it forked
            return None
    accepted, *codes = received.split()[:2] or [b""]
    if accepted != b"forked":
        return None
    return int(codes[0]) if codes else KILLED


def main(path: str, *argv: str) -> None:
    """Exit with the child's code, or become the real Python."""
    required = path == REQUIRED
    if required:
        path, argv = argv[0], argv[1:]
    if argv and argv[0].endswith(WORKER):
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            code = forked(path, list(argv))
            if code is not None:
                sys.exit(code)
            time.sleep(0.1)
        if required:
            print(f"no fork server for {WAIT_SECONDS:g} s, and no other worker would be confined", file=sys.stderr)
            sys.exit(1)
        print(f"no fork server for {WAIT_SECONDS:g} s: this worker imports everything itself", file=sys.stderr)
    os.execv(sys.executable, [sys.executable, *argv])  # noqa: S606 - becomes the process that TorchServe started


if __name__ == "__main__":
    main(*sys.argv[1:])
