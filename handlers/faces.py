"""What a request about faces asks for, and the shapes of the replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from handlers.codecs.face import FaceCodec
from handlers.codecs.image import image_bytes
from handlers.errors import BadRequest
from handlers.gallery import person_of
from handlers.replies import BASE64, BINARY, BOOLEAN, NUMBER, STRING, array, schema
from handlers.row import Row

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
REQUEST: dict[str, Any] = {
    "image/*": {"schema": BINARY},
    "multipart/form-data": {"schema": {"anyOf": [schema(a=BINARY, b=BINARY), schema(image=BINARY)]}},
    "application/json": {"schema": {"anyOf": list(BODIES)}},
}
REPLY: dict[str, Any] = {
    **schema(model=STRING, version=STRING),
    "anyOf": [
        schema(same=BOOLEAN, similarity=NUMBER, threshold=NUMBER),
        schema(matches=array(schema(person=STRING, similarity=NUMBER)), threshold=NUMBER),
        schema(enrolled=STRING, pictures=NUMBER),
        schema(deleted=STRING, pictures=NUMBER),
        schema(people=array(schema(person=STRING, pictures=NUMBER))),
    ],
}
EXPLANATION: dict[str, Any] = schema(
    model=STRING,
    version=STRING,
    same=BOOLEAN,
    similarity=NUMBER,
    threshold=NUMBER,
    convergence_delta=NUMBER,
    heatmaps={"type": "object", "additionalProperties": BASE64},
)


@dataclass(frozen=True)
class Question:
    """`faces`: (K, C, S, S) of uint8, of `parts`, which has K names: two to compare, one to identify or to enrol, none
    to delete somebody or to list who is there."""

    verb: Verb
    faces: Tensor
    parts: tuple[str, ...] = ()
    person: str = ""
    top: int = TOP
    embeddings: bool = False
    as_png: bool = False

    @classmethod
    def of(cls, row: Row, codec: FaceCodec) -> "Question":
        """Reads the row; raises BadRequest for what is missing, or asks for two things at once."""
        verb, person = _change(row)
        pair = any(_given(row, part) for part in PAIR)
        if verb in ("enrol", "delete", "list") and pair:
            raise BadRequest(verb, "does not go with two faces to compare")
        parts: tuple[str, ...] = PAIR if pair else ()
        if not pair and verb in ("identify", "enrol"):
            parts = ("image",)
        size = (codec.channels, codec.size, codec.size)
        faces = [_face(row, part, codec) for part in parts] or [torch.zeros(size, dtype=torch.uint8)]
        return cls(
            "compare" if pair else verb,
            torch.stack(faces),
            parts,
            person,
            row.whole("top", 1, 100) or TOP,
            row.flag("embeddings"),
            row.accepts("image/png"),
        )


def _change(row: Row) -> tuple[Verb, str]:
    """What is to be done with the gallery, and to whom; with nothing asked for, a face is to be identified."""
    asked: list[tuple[Verb, str]] = [("list", "")] if row.flag("list") else []
    for verb in ("enrol", "delete"):
        name = row.option(verb)
        if name is not None:
            asked.append((verb, person_of(name, verb)))
    if len(asked) > 1:
        raise BadRequest(asked[1][0], f"one thing at a time: {asked[0][0]} or {asked[1][0]}")
    return asked[0] if asked else ("identify", "")


def _given(row: Row, part: str) -> bool:
    return part in row.fields or (isinstance(row.body, Mapping) and part in row.body)


def _face(row: Row, part: str, codec: FaceCodec) -> Tensor:
    """(C, S, S) of uint8."""
    if part in PAIR and not _given(row, part):
        raise BadRequest(part, f"no face {part}: to compare two, send both a and b; to look up one, send it as image")
    try:
        return codec.pixels(image_bytes(row.field(part)))
    except BadRequest as fault:
        raise BadRequest(part if fault.field == "image" else fault.field, fault.why) from fault
