"""Requests about faces, and the schemas of their responses: compare two, identify one, or change the gallery."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from handlers.codecs.face import FaceCodec
from handlers.codecs.image import image_bytes
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BASE64, BINARY, BOOLEAN, NUMBER, STRING, array, schema
from handlers.vision.face_gallery import normalized_name

Verb = Literal["compare", "identify", "enrol", "delete", "list"]
PAIR = ("a", "b")
TOP = 5
BODIES = (
    schema(a=BASE64, b=BASE64),
    schema(image=BASE64),
    schema(image=BASE64, enrol=STRING),
    schema(delete=STRING),
    schema(list=BOOLEAN),
)
REQUEST_SCHEMA: dict[str, Any] = {
    "image/*": {"schema": BINARY},
    "multipart/form-data": {"schema": {"anyOf": [schema(a=BINARY, b=BINARY), schema(image=BINARY)]}},
    "application/json": {"schema": {"anyOf": list(BODIES)}},
}
RESPONSE_SCHEMA: dict[str, Any] = {
    **schema(model=STRING, version=STRING),
    "anyOf": [
        schema(same=BOOLEAN, similarity=NUMBER, threshold=NUMBER),
        schema(matches=array(schema(person=STRING, similarity=NUMBER)), threshold=NUMBER),
        schema(enrolled=STRING, pictures=NUMBER),
        schema(deleted=STRING, pictures=NUMBER),
        schema(people=array(schema(person=STRING, pictures=NUMBER))),
    ],
}
EXPLANATION_SCHEMA: dict[str, Any] = schema(
    model=STRING,
    version=STRING,
    same=BOOLEAN,
    similarity=NUMBER,
    threshold=NUMBER,
    convergence_delta=NUMBER,
    heatmaps={"type": "object", "additionalProperties": BASE64},
)


@dataclass(frozen=True)
class FaceInput:
    """The verb and its faces, (K, C, S, S) of uint8; `parts` are their K names.

    Two faces to compare, one to identify or to enrol. To delete a person or to list everybody, `parts` is empty and the
    only face is black.
    """

    verb: Verb
    faces: Tensor
    parts: tuple[str, ...] = ()
    person: str = ""
    top: int = TOP
    embeddings: bool = False
    as_png: bool = False

    @classmethod
    def from_request(cls, request: Request, codec: FaceCodec) -> "FaceInput":
        """Read the request; raises BadRequest if something is missing, or if there is more than one verb."""
        verb, person = _gallery_verb(request)
        pair = any(_has_part(request, part) for part in PAIR)
        if verb in ("enrol", "delete", "list") and pair:
            raise BadRequest(verb, "does not go with two faces to compare")
        parts: tuple[str, ...] = PAIR if pair else ()
        if not pair and verb in ("identify", "enrol"):
            parts = ("image",)
        size = (codec.channels, codec.size, codec.size)
        faces = [_face(request, part, codec) for part in parts] or [torch.zeros(size, dtype=torch.uint8)]
        return cls(
            "compare" if pair else verb,
            torch.stack(faces),
            parts,
            person,
            request.integer("top", 1, 100) or TOP,
            request.flag("embeddings"),
            request.accepts("image/png"),
        )


def _gallery_verb(request: Request) -> tuple[Verb, str]:
    """Return the operation on the gallery and the person it is for; the default is to identify a face."""
    verbs: list[tuple[Verb, str]] = [("list", "")] if request.flag("list") else []
    for verb in ("enrol", "delete"):
        name = request.option(verb)
        if name is not None:
            verbs.append((verb, normalized_name(name, verb)))
    if len(verbs) > 1:
        raise BadRequest(verbs[1][0], f"one thing at a time: {verbs[0][0]} or {verbs[1][0]}")
    return verbs[0] if verbs else ("identify", "")


def _has_part(request: Request, part: str) -> bool:
    return part in request.parts or (isinstance(request.body, Mapping) and part in request.body)


def _face(request: Request, part: str, codec: FaceCodec) -> Tensor:
    """Return the face in a part of the request, (C, S, S) of uint8; errors name the part."""
    if part in PAIR and not _has_part(request, part):
        raise BadRequest(part, f"no face {part}: to compare two, send both a and b; to look up one, send it as image")
    try:
        return codec.pixels(image_bytes(request.field(part)))
    except BadRequest as exc:
        raise exc.of_field(part if exc.field == "image" else exc.field) from exc
