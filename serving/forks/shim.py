"""What TorchServe runs in place of Python: `python -IS shim.py SOCKET SCRIPT ARGUMENT...`.

For a worker it asks the fork server for a child, and stands in for it: what TorchServe waits for and kills is the shim.
Any other script runs with the real Python. A shim stays as long as its worker: it imports little, and nothing of ours.
"""

import os
import socket
import sys
import time

WORKER = "/ts/model_service_worker.py"
WAIT_SECONDS = 10.0  # a fork server that died is back sooner
# A child's death that nobody told the code of, because the fork server had died before: nearly always a kill -9.
KILLED = 128 + 9


def request(argv: list[str]) -> bytes:
    """Length, then what the child shall be: NUL-separated working directory, number of arguments, them, environment."""
    variables = (b"%b=%b" % pair for pair in os.environb.items())
    fields = (os.getcwdb(), b"%d" % len(argv), *map(os.fsencode, argv), *variables)  # noqa: PTH109 - pathlib is big
    body = b"\0".join(fields)
    return len(body).to_bytes(8, "big") + body


def forked(path: str, argv: list[str]) -> int | None:
    """The exit code of the child that worked in our place, once it is over; None if there was no child."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            message = request(argv)
            sent = socket.send_fds(connection, [message], [0, 1, 2])
            connection.sendall(message[sent:])
            said = b""
            while said.count(b"\n") < 2 and (part := connection.recv(64)):
                said += part
        except OSError:  # no server, or it died before it forked
            return None
    accepted, *codes = said.split()[:2] or [b""]
    if accepted != b"forked":
        return None
    return int(codes[0]) if codes else KILLED


def main(path: str, *argv: str) -> None:
    """Ends as the child ended, or becomes the real Python."""
    if argv and argv[0].endswith(WORKER):
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            code = forked(path, list(argv))
            if code is not None:
                sys.exit(code)
            time.sleep(0.1)
        print(f"no fork server for {WAIT_SECONDS:g} s: this worker imports everything itself", file=sys.stderr)
    os.execv(sys.executable, [sys.executable, *argv])  # noqa: S606 - becomes what TorchServe meant to start


if __name__ == "__main__":
    main(*sys.argv[1:])
