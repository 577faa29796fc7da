"""Stub servers for the tests of the benchmark client."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

from benchmarks import campaign
from benchmarks.load.noop_server import missing
from benchmarks.load.wire import Target, request
from benchmarks.processes import free_ports

ROOT = campaign.limit.__file__.rsplit("/", 2)[0]


@contextmanager
def standin():
    """Start the no-op server as a process; yield it and its target."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.load.noop_server", str(port)], cwd=ROOT)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process, target(port)
    finally:
        process.kill()
        process.wait()


def target(port, count=4):
    return Target("127.0.0.1", port, [request("/", b'{"number": %d}' % i, {}) for i in range(count)], json.loads)


@contextmanager
def scripted(respond):
    """Start a server in a thread; yield a target and the accepted connections.

    `respond(connections, request)` returns the bytes of a response, or a list of its pieces; if empty, it disconnects.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def serve(client):
        buffer = b""
        with client, suppress(ConnectionError):  # the client may disconnect during a response
            while part := client.recv(1 << 16):
                buffer += part
                if not missing(buffer):
                    response = respond(len(accepted), buffer)
                    if not response:
                        return
                    for piece in response if isinstance(response, list) else [response]:
                        client.sendall(piece)
                        time.sleep(0.005)
                    buffer = b""

    def accept():
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            accepted.append(client)
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield target(listener.getsockname()[1]), accepted
    finally:
        listener.close()
