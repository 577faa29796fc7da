"""The caller that Envoy verified, as a header for control.

Envoy overwrites the header in every request to control, so no client can forge it.
"""

import re
from dataclasses import dataclass

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
