"""Access keys: signed tokens (JWT, EdDSA) that Envoy verifies. A token is printed once and stored nowhere.

Claims: `sub` is the key's name, `jti` its id, `scopes` a list, `rate` requests per second if they are limited.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filelock import FileLock

from marina.errors import AccessKeyError
from marina.files import write_atomic

ISSUER, ALGORITHM = "marina", "EdDSA"
ID_BYTES = 6
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
MAX_SECONDS = 10 * 366 * UNITS["d"]
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
# Requests that may come at once unless the key allows more: those of so many seconds, and at least so many.
BURST_SECONDS, MIN_BURST = 0.04, 2

State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class AccessKey:
    """A key as the registry stores it. Times are in seconds since the epoch, `rate` in requests per second.

    `burst` is the number of requests that may come at once. `signer` is the public key that verifies its token.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: float
    expires: float
    signer: str
    rate: int | None = None
    burst: int | None = None
    revoked: float | None = None

    def state(self, now: float) -> State:
        """Return the state at that time."""
        if self.revoked is not None:
            return "revoked"
        return "active" if now < self.expires else "expired"

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of its token."""
        times = {"iat": int(self.created), "exp": int(self.expires)}
        rate = {} if self.rate is None else {"rate": self.rate}
        return {"iss": ISSUER, "sub": self.name, "jti": self.id, "scopes": list(self.scopes), **rate, **times}


class SigningKey:
    """The Ed25519 key that signs tokens; created on first use in `folder`, readable by its owner only.

    After the file is removed, the next token is signed by a new key; tokens of the old one stay valid, because the
    registry holds the public key of each.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "access.key"
        with FileLock(folder / ".access.key.lock"):
            if not file.exists():
                write_atomic(file, _pem(Ed25519PrivateKey.generate()))
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise AccessKeyError(f"{file} is no Ed25519 key: remove it, and create the access keys again")
        self._key = key

    @property
    def public(self) -> str:
        """The public key as the member `x` of its JWK."""
        raw = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def token(self, key: AccessKey) -> str:
        """Return the signed token of a key."""
        return jwt.encode(key.claims, self._key, ALGORITHM, headers={"kid": key_id(self.public)})


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_id(public: str) -> str:
    """Return the `kid` of a public key."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def jwk(public: str) -> dict[str, str]:
    """Return the JSON Web Key of a public key."""
    return {"kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": key_id(public), "x": public}


def new_key(
    signer: str, name: str, scopes: tuple[str, ...], seconds: int, rate: int | None, burst: int | None, now: float
) -> AccessKey:
    """Return a new key; raises AccessKeyError for a name, rate or burst that is not valid, and without scopes."""
    if not NAME.fullmatch(name):
        raise AccessKeyError(f"name {name!r}: give 1 to 64 letters, digits and . _ @ -")
    if not scopes:
        raise AccessKeyError("a key needs scopes: --scope predict,feedback, or --role reader")
    if rate is not None and rate < 1:
        raise AccessKeyError(f"rate {rate}: give at least 1 request per second, or no rate for no limit")
    if burst is not None and (rate is None or burst < 1):
        raise AccessKeyError(f"burst {burst}: give at least 1, together with --rate")
    if rate is not None:
        burst = burst or max(MIN_BURST, round(rate * BURST_SECONDS))
    return AccessKey(secrets.token_hex(ID_BYTES), name, scopes, now, now + seconds, signer, rate, burst)


def seconds_of(text: str) -> int:
    """Return the seconds of a duration; raises AccessKeyError.

    >>> seconds_of("90d")
    7776000
    """
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise AccessKeyError(f"{text!r}: give a duration of up to ten years, such as 90d, 12h or 30m")
    return seconds
