"""Check every locked package for published vulnerabilities, by pip-audit and OSV.

    python tests/lint/audit.py [--if-reachable] [--url URL] [LOCK...]

Exits with 1 if a package has one. With --if-reachable a service that can't be reached is a line, and no error.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
OSV = "https://api.osv.dev/v1/query"
SECONDS = 3.0  # to reach the service


def reachable(url: str) -> bool:
    """Check that the service answers; a proxy that refuses counts as no answer."""
    try:
        response = httpx.post(
            url, json={"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "0"}, timeout=SECONDS
        )
    except httpx.HTTPError:
        return False
    return response.is_success


def command(url: str, lock: Path) -> list[str]:
    """Return the command that audits a lock file as it is: nothing is resolved or installed."""
    audit = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--vulnerability-service", "osv"]
    return [*audit, "--osv-url", url, "--disable-pip", "--require-hashes", "--requirement", str(lock)]


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--if-reachable", action="store_true")
    parser.add_argument("--url", default=OSV)
    parser.add_argument("locks", nargs="*", type=Path, default=sorted((ROOT / "requirements").glob("*.lock")))
    given = parser.parse_args(arguments)
    if not reachable(given.url):
        print(f"audit: {given.url} did not answer within {SECONDS:g} s; nothing was checked")
        return 0 if given.if_reachable else 1
    failed = [lock.name for lock in given.locks if subprocess.run(command(given.url, lock), check=False).returncode]
    print(f"audit: {len(given.locks) - len(failed)} of {len(given.locks)} locks have no known vulnerability")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
