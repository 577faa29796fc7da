"""OpenAPI document: the description of a model."""

import pytest
from fastapi import FastAPI

from marina.api.openapi import ERROR_SCHEMA, UNKNOWN_API, ServedModel, model_paths, openapi_document, operation
from tests.api.conftest import CARD

SCHEMA = {"schema": {"type": "object"}}
REFUSALS = {400: "a bad request", 404: "no such model or version", 413: "a body that is too long", 503: "not ready"}
ENUM = {"type": "string", "enum": ["1.0", "2.0"]}
VERSION = {"name": "version", "in": "path", "required": True, "schema": ENUM}


def served(**api) -> ServedModel:
    return ServedModel(["1.0", "2.0"], {**CARD["api"], **api})


def expected(**fields) -> dict:
    """The operation that predicts."""
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    response = {"application/json": {"schema": {"type": "array"}}}
    return {
        "tags": ["a"],
        "summary": "Predict with a",
        "description": "",
        "operationId": "predictions_a",
        "parameters": [],
        "requestBody": {"required": True, "content": {"application/json": SCHEMA}},
        "responses": {
            "200": {"description": "the response", "content": response},
            **{str(code): {"description": why, "content": refusal} for code, why in REFUSALS.items()},
        },
        **fields,
    }


def test_an_operation_describes_request_and_response():
    assert operation("a", "predictions", served(), {"type": "array"}, []) == expected()
    in_version = {"summary": "Explain a prediction of a in one version", "operationId": "explanations_a_version"}
    assert operation("a", "explanations", served(), {"type": "array"}, [VERSION]) == expected(
        **in_version, parameters=[VERSION]
    )


def test_the_example_is_linked_and_shown():
    it = ServedModel(["1.0"], CARD["api"], (b'{"x": 1}', "application/json"))
    result = operation("a", "predictions", it, {}, [])
    assert result["description"] == "An example of a request: /v1/models/a/example"
    assert result["requestBody"]["content"] == {"application/json": {**SCHEMA, "example": {"x": 1}}}
    assert CARD["api"]["request"] == {"application/json": SCHEMA}  # as it was


@pytest.mark.parametrize(
    ("example", "content"),
    [
        (None, {"application/json": SCHEMA}),
        ((b"[1]", "application/json"), {"application/json": {**SCHEMA, "example": [1]}}),
        (("é".encode(), "text/plain"), {"application/json": SCHEMA, "text/plain": {"example": "é"}}),
        ((b"\xff", "image/png"), {"application/json": SCHEMA}),
    ],
)
def test_an_example_is_shown_where_it_is_text(example, content):
    assert ServedModel(["1.0"], CARD["api"], example).content() == content


def test_text_keeps_its_schema_beside_the_example():
    it = ServedModel(["1"], {"request": {"text/plain": {"schema": {"type": "string"}}}}, (b"hello", "text/plain"))
    assert it.content() == {"text/plain": {"schema": {"type": "string"}, "example": "hello"}}


def test_each_verb_has_a_path_with_and_without_a_version():
    result = model_paths("a", served())
    assert [(path, list(verbs)) for path, verbs in result.items()] == [
        (f"/{verb}/a{version}", ["post"]) for verb in ("predictions", "explanations") for version in ("", "/{version}")
    ]
    assert result["/predictions/a"]["post"] == expected()
    assert result["/predictions/a/{version}"]["post"] == operation(
        "a", "predictions", served(), {"type": "array"}, [VERSION]
    )
    assert result["/explanations/a"]["post"] == operation("a", "explanations", served(), {"type": "number"}, [])
    assert result["/explanations/a/{version}"]["post"]["parameters"] == [VERSION]


def test_a_model_without_explanations_has_no_such_path():
    for it in (served(explanation=None), ServedModel(["1.0", "2.0"], {"request": {}})):
        assert set(model_paths("a", it)) == {"/predictions/a", "/predictions/a/{version}"}
    response = model_paths("a", ServedModel(["1"], {"request": {}}))["/predictions/a"]["post"]["responses"]["200"]
    assert response["content"]["application/json"]["schema"] == {}


def test_an_archive_without_a_card_has_any_request_and_response():
    (content,) = ServedModel(["1"], UNKNOWN_API).content().items()
    assert content == ("application/octet-stream", {"schema": {"type": "string", "format": "binary"}})
    assert len(model_paths("x", ServedModel(["1"], UNKNOWN_API))) == 4


def test_the_document_has_control_s_own_paths_and_those_of_the_models():
    app = FastAPI(title="Marina")

    @app.get("/own")
    def own() -> str:
        return ""

    document = openapi_document(app, {"a": served(), "b": served()})
    assert document["info"]["title"] == "Marina"
    assert document["info"]["version"] == "1"
    assert document["info"]["description"].startswith("Predictions and explanations of the models")
    assert document["components"]["schemas"]["Error"] == ERROR_SCHEMA
    assert {"/own", "/predictions/a", "/explanations/b/{version}"} <= set(document["paths"])
    assert ERROR_SCHEMA["required"] == ["code", "type", "message"]
    assert set(ERROR_SCHEMA["properties"]) == {"code", "type", "message", "field"}
