"""/v1/keys: list and revoke access keys, for holders of the scope `manage`. Only the command line creates keys."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import BaseModel

from marina.api.callers import require_operator
from marina.api.cards import ReconcilerDependency
from marina.errors import AccessKeyError
from marina.security.access_keys import AccessKey, State
from marina.security.key_registry import KeyRegistry
from marina.serving.envoy import gateway

router = APIRouter(prefix="/v1/keys", tags=["access keys"], dependencies=[Depends(require_operator)])


class KeyDetails(BaseModel):
    """A key without its token, which is stored nowhere. Times are in seconds since the epoch."""

    id: str
    name: str
    state: State
    scopes: list[str]
    rate: int | None
    created: float
    expires: float
    revoked: float | None

    @classmethod
    def of(cls, key: AccessKey) -> "KeyDetails":
        """Return the details of a key of the registry."""
        fields = {name: getattr(key, name) for name in cls.model_fields if name != "state"}
        return cls.model_validate({**fields, "scopes": list(key.scopes), "state": key.state(time.time())})


def get_registry(reconciler: ReconcilerDependency) -> KeyRegistry:
    """Return the registry, a FastAPI dependency."""
    return KeyRegistry(reconciler.settings)


RegistryDependency = Annotated[KeyRegistry, Depends(get_registry)]


@router.get("")
def keys(registry: RegistryDependency) -> list[KeyDetails]:
    """Return every key."""
    return [KeyDetails.of(key) for key in registry.all()]


@router.delete("/{key_id}")
def revoke(
    key_id: Annotated[str, Path(pattern="^[0-9a-f]{1,64}$")],
    registry: RegistryDependency,
    reconciler: ReconcilerDependency,
) -> KeyDetails:
    """Revoke a key, for good; other nodes of the database follow within two seconds."""
    try:
        key = registry.revoke(key_id)
        gateway.publish_keys(reconciler.settings, registry.active())
    except AccessKeyError as exc:
        raise HTTPException(404, str(exc)) from exc
    return KeyDetails.of(key)
