"""Callers of control's API: those that Envoy verified by an access key or a certificate, and holders of a token."""

import secrets
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from marina import headers
from marina.api.cards import ReconcilerDependency
from marina.api.exception_handlers import FieldError
from marina.security.caller import Caller, parse, proof
from marina.serving.torchserve.client import Keys
from marina.settings import Settings


def verified_caller(request: Request, reconciler: ReconcilerDependency) -> Caller:
    """Return the caller that Envoy verified; nobody where requests need no key. A FastAPI dependency."""
    if not (reconciler.settings.keys_required and _through_envoy(request, reconciler.settings)):
        return Caller()
    return parse(request.headers.get(headers.CALLER, ""))


def _through_envoy(request: Request, settings: Settings) -> bool:
    given = request.headers.get(headers.CALLER_PROOF, "")
    return secrets.compare_digest(given.encode(), proof(settings).encode())


CallerDependency = Annotated[Caller, Depends(verified_caller)]


def is_anonymous(request: Request, reconciler: ReconcilerDependency) -> bool:
    """Return True for a request through Envoy whose key is missing although keys are needed."""
    through_envoy = headers.CALLER in request.headers
    return reconciler.settings.keys_required and through_envoy and not verified_caller(request, reconciler).verified


AnonymousDependency = Annotated[bool, Depends(is_anonymous)]


def require_operator(
    reconciler: ReconcilerDependency, caller: CallerDependency, authorization: Annotated[str, Header()] = ""
) -> None:
    """Require an access key, whose scopes Envoy has checked, or TorchServe's management token.

    Raises HTTPException 503 before there is a token, FieldError 401.
    """
    if caller.key:
        return
    keys = Keys.read(reconciler.settings)
    if keys is None:
        raise HTTPException(503, "TorchServe is starting: there is no token yet")
    if not secrets.compare_digest(authorization.encode(), f"Bearer {keys.management}".encode()):
        raise FieldError(401, "the management token is missing or wrong: `make token`", "Authorization")
