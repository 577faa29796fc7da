"""OpenAPI document: control's own paths, and those of each model, described by its card under `api`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

Json = dict[str, Any]

DESCRIPTION = "Predictions and explanations of the models that are served here, behind Envoy on TorchServe."
ERROR_SCHEMA = {
    "type": "object",
    "required": ["code", "type", "message"],
    "properties": {
        "code": {"type": "integer", "examples": [400]},
        "type": {"type": "string", "examples": ["BadRequest"]},
        "message": {"type": "string"},
        "field": {"type": "string", "description": "the part of the request that is wrong"},
    },
}
ACCESS_KEY = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "of `marina key create`"}
ERROR_RESPONSES = {
    400: "a bad request",
    404: "no such model or version",
    413: "a body that is too long",
    503: "not ready",
}
# Of an archive without a card: its requests and responses are unknown.
UNKNOWN_API: Json = {
    "request": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    "reply": {},
    "explanation": {},
}


@dataclass(frozen=True)
class ServedModel:
    """A model that is served: its versions, its card's `api`, and its example (body and content type)."""

    versions: list[str]
    api: Json
    example: tuple[bytes, str] | None = None

    def content(self) -> Json:
        """Return the request body by content type, with the example where it is text."""
        content = dict(self.api["request"])
        body, kind = self.example or (b"", "")
        if kind == "application/json":
            content[kind] = {**content.get(kind, {}), "example": json.loads(body)}
        elif kind.startswith("text/"):
            content[kind] = {**content.get(kind, {}), "example": body.decode()}
        return content


VERBS = ("predictions", "explanations")


def operation(name: str, verb: str, served: ServedModel, reply: Json, parameters: list[Json]) -> Json:
    """Return the operation of one path.

    `verb` is "predictions" or "explanations", `reply` the JSON schema of the response, `parameters` those of the path.
    """
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    summary = {"predictions": "Predict with", "explanations": "Explain a prediction of"}[verb]
    return {
        "tags": [name],
        "summary": f"{summary} {name}" + (" in one version" if parameters else ""),
        "description": f"An example of a request: /v1/models/{name}/example" if served.example else "",
        "operationId": f"{verb}_{name}" + ("_version" if parameters else ""),
        "parameters": parameters,
        "requestBody": {"required": True, "content": served.content()},
        "responses": {
            "200": {"description": "the response", "content": {"application/json": {"schema": reply}}},
            **{str(code): {"description": why, "content": error} for code, why in ERROR_RESPONSES.items()},
        },
    }


def model_paths(name: str, served: ServedModel) -> Json:
    """Return the paths of one model, each with and without a version."""
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "enum": served.versions}}
    schemas = {"predictions": served.api.get("reply", {}), "explanations": served.api.get("explanation")}
    paths: Json = {}
    for verb, reply in schemas.items():
        if reply is None:
            continue  # this model has no explanations
        paths[f"/{verb}/{name}"] = {"post": operation(name, verb, served, reply, [])}
        paths[f"/{verb}/{name}/{{version}}"] = {"post": operation(name, verb, served, reply, [version])}
    return paths


def any_model_paths() -> Json:
    """Return the paths of a model whose name is a parameter, for callers who may not see which models there are."""
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    unknown = ServedModel([], UNKNOWN_API)
    return {f"/{verb}/{{model}}": {"post": operation("model", verb, unknown, {}, [name])} for verb in VERBS}


def openapi_document(
    application: FastAPI, models: Mapping[str, ServedModel] | None, keys_required: bool = False
) -> Json:
    """Return the document: the paths of the app's routes, and those of `models`; None names none of them.

    With `keys_required` it has the scheme of access keys, and so the page has a button "Authorize".
    """
    document = get_openapi(title=application.title, version="1", description=DESCRIPTION, routes=application.routes)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    if keys_required:
        components["securitySchemes"] = {"access key": ACCESS_KEY}
        document["security"] = [{"access key": []}]
    if models is None:
        document["paths"] |= any_model_paths()
    for name, served in (models or {}).items():
        document["paths"] |= model_paths(name, served)
    return document
