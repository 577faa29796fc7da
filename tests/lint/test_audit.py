"""`make audit` against a stand-in of OSV on loopback: it fails for what the service lists, and for nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.lint import audit

KNOWN = {
    "id": "PYSEC-0000-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "a vulnerability of the test",
    "affected": [
        {
            "package": {"name": "rich", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}


class StandIn(BaseHTTPRequestHandler):
    """OSV's query, for which only one package has a vulnerability."""

    def do_POST(self):
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        found = {"vulns": [KNOWN]} if query["package"]["name"] == "rich" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def service(monkeypatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def lock(folder: Path, name: str) -> str:
    file = folder / f"{name}.lock"
    file.write_text(f"{name}==1.0.0 \\\n    --hash=sha256:{'0' * 64}\n")
    return str(file)


def test_a_vulnerable_package_fails_the_audit_and_is_named(service, tmp_path, capfd):
    assert audit.main(["--url", service, lock(tmp_path, "rich")]) == 1
    printed = capfd.readouterr().out
    assert "PYSEC-0000-1" in printed
    assert "99" in printed
    assert audit.main(["--url", service, lock(tmp_path, "httpx")]) == 0
    assert "1 of 1 locks have no known vulnerability" in capfd.readouterr().out


def test_without_the_service_lint_goes_on_and_audit_fails(capsys, tmp_path):
    nowhere = "http://127.0.0.1:9/v1/query"
    assert audit.main(["--if-reachable", "--url", nowhere, lock(tmp_path, "rich")]) == 0
    assert audit.main(["--url", nowhere, lock(tmp_path, "rich")]) == 1
    assert "did not answer" in capsys.readouterr().out
