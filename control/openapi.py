"""The OpenAPI document: control's own paths, and those of every model by what its card says under `api`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

Json = dict[str, Any]

ABOUT = "Predictions and explanations of the models that are served here, behind Envoy on TorchServe."
ERROR = {
    "type": "object",
    "required": ["code", "type", "message"],
    "properties": {
        "code": {"type": "integer", "examples": [400]},
        "type": {"type": "string", "examples": ["BadRequest"]},
        "message": {"type": "string"},
        "field": {"type": "string", "description": "the part of the request that is wrong"},
    },
}
REFUSALS = {400: "a bad request", 404: "no such model or version", 413: "a body that is too long", 503: "not ready"}
# What a foreign archive takes and gives is unknown.
ANYTHING: Json = {
    "request": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "reply": {},
    "explanation": {},
}


@dataclass(frozen=True)
class Served:
    """A model's versions, its card's `api`, and its example: body and content type."""

    versions: list[str]
    api: Json
    example: tuple[bytes, str] | None = None

    def content(self) -> Json:
        """The request body by content type, with the example where it can be shown as text."""
        content = dict(self.api["request"])
        body, kind = self.example or (b"", "")
        if kind == "application/json":
            content[kind] = {**content.get(kind, {}), "example": json.loads(body)}
        elif kind.startswith("text/"):
            content[kind] = {**content.get(kind, {}), "example": body.decode()}
        return content


def operation(name: str, verb: str, served: Served, reply: Json, parameters: list[Json]) -> Json:
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    what = {"predictions": "Ask", "explanations": "Ask why, of"}[verb]
    return {
        "tags": [name],
        "summary": f"{what} {name}" + (" in one version" if parameters else ""),
        "description": f"An example of a request: /v1/models/{name}/example" if served.example else "",
        "operationId": f"{verb}_{name}" + ("_version" if parameters else ""),
        "parameters": parameters,
        "requestBody": {"required": True, "content": served.content()},
        "responses": {
            "200": {"description": "the answer", "content": {"application/json": {"schema": reply}}},
            **{str(code): {"description": why, "content": refusal} for code, why in REFUSALS.items()},
        },
    }


def model_paths(name: str, served: Served) -> Json:
    """The paths of one model."""
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "enum": served.versions}}
    replies = {"predictions": served.api.get("reply", {}), "explanations": served.api.get("explanation")}
    paths: Json = {}
    for verb, reply in replies.items():
        if reply is None:
            continue  # this model does not explain itself
        paths[f"/{verb}/{name}"] = {"post": operation(name, verb, served, reply, [])}
        paths[f"/{verb}/{name}/{{version}}"] = {"post": operation(name, verb, served, reply, [version])}
    return paths


def describe(application: FastAPI, models: Mapping[str, Served]) -> Json:
    """The document."""
    document = get_openapi(title=application.title, version="1", description=ABOUT, routes=application.routes)
    document.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR
    for name, served in models.items():
        document["paths"] |= model_paths(name, served)
    return document
