"""The caller that Envoy verified, as a header for control.

Envoy overwrites the header in every request to control, so no client can forge it. Nor can code in a worker, which may
connect to control's socket: Envoy adds a proof, a secret that workers can't read.
"""

import re
import secrets
from dataclasses import dataclass

from filelock import FileLock

from marina.files import write_atomic
from marina.settings import Settings

# Envoy's formatters; one that has no value is left empty.
CLAIM = "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:claims:{name})%"
FORMAT = f"key={CLAIM.format(name='jti')};name={CLAIM.format(name='sub')};node=%DOWNSTREAM_PEER_SUBJECT%"
PATTERN = re.compile(r"key=([0-9a-f]*);name=([A-Za-z0-9._@-]*);node=(.*)")


@dataclass(frozen=True)
class Caller:
    """The id and name of an access key, or the subject of another node's certificate; empty if there is none."""

    key: str = ""
    name: str = ""
    node: str = ""

    @property
    def verified(self) -> bool:
        """True for the holder of a key and for a node of this bundle."""
        return bool(self.key or self.node)

    @property
    def who(self) -> str:
        """The caller for a history: "alice (key 0a1b2c)"."""
        return f"{self.name} (key {self.key})" if self.key else self.node


def parse(header: str) -> Caller:
    """Return the caller of a header; nobody if it is malformed.

    >>> parse("key=0a1b2c;name=alice;node=").who
    'alice (key 0a1b2c)'
    """
    found = PATTERN.fullmatch(header)
    return Caller(*found.groups()) if found else Caller()


def proof(settings: Settings) -> str:
    """Return the secret that Envoy adds to requests to control; made on first use, readable by this user alone."""
    file = settings.run / "caller_proof"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(file.with_name(f".{file.name}.lock")):
            if not file.exists():
                write_atomic(file, secrets.token_urlsafe())
    return file.read_text()
