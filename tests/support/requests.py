"""Strategies for hypothesis: requests of any kind, most of them near valid ones."""

import json
from collections.abc import Iterable

from hypothesis import strategies as st

from handlers.request import Request
from tests.support.bombs import broken_exif, claiming
from tests.support.samples import bomb, picture, small_pdf
from tests.support.worker import SampleRequest

NAMES = ("image", "a", "b", "style", "text", "features", "video", "target", "data", "body")
OPTIONS = (
    "top",
    "seed",
    "count",
    "label",
    "steps",
    "size",
    "stream",
    "threshold",
    "object",
    "truncate",
    "pages",
    "beam",
)
OPTIONS += ("length", "length_penalty", "temperature", "top_k", "top_p", "alignment", "to", "enrol", "delete", "list")
KINDS = ("", "application/json", "text/plain", "image/png", "application/pdf", "video/mp4", "application/octet-stream")
KINDS += ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "x;y=\xe9")
TRICKY = ('{"a": ' * 70, "\ud800", "é", "%", "nan", "-1", "9" * 30, "[MASK]", "data:,", "很好", "0", "true")

texts = st.one_of(st.text(max_size=40), st.sampled_from(TRICKY), st.text(st.characters(codec=None), max_size=5))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)
names = st.one_of(st.sampled_from(NAMES + OPTIONS), texts)


def files(samples: Iterable[SampleRequest]) -> list[bytes]:
    """Return the bodies of sample requests, and files of every kind that a client may send instead."""
    bodies = [value for one in samples for value in one.fields.values()]
    found = [bytes(body) for body in bodies if isinstance(body, bytes | bytearray)]
    found += [json.dumps(body).encode() for body in bodies if isinstance(body, dict | list)]
    found += [picture(mode, kind) for mode, kind in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("I;16", "PNG"))]
    found += [picture(kind=kind) for kind in ("WEBP", "GIF", "BMP")] + [picture(kind="JPEG", progressive=True)]
    found += [
        bomb(),
        claiming(60_000, 60_000, "JPEG"),
        broken_exif(),
        broken_exif("PNG"),
        small_pdf(),
        b"",
        b"[" * 1_100,
    ]
    return [body for body in found if len(body) < 200_000]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Draw one of these files with a few bytes changed, inserted or removed, or its end cut off."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("change", "insert", "remove", "cut", "repeat"))):
            case "change" if data:
                data[place] = draw(st.integers(0, 255))
            case "insert":
                data[place:place] = draw(st.binary(max_size=8))
            case "remove":
                del data[place : place + draw(st.integers(1, 64))]
            case "cut":
                del data[place:]
            case "repeat":
                data[place:place] = data[place : place + 64] * draw(st.integers(1, 4))
    return bytes(data)


@st.composite
def requests(draw: st.DrawFn, samples: list[SampleRequest], originals: list[bytes]) -> Request:
    """Draw a request: a valid one with other options, or a body or fields of any kind."""
    kind, query = draw(st.sampled_from(KINDS)), draw(texts)
    headers = {"x-request-query": f"{draw(st.sampled_from(OPTIONS))}={query}" if draw(st.booleans()) else query}
    headers[draw(st.sampled_from(("content-type", "x-marina-content-type")))] = kind
    headers["accept"] = draw(st.sampled_from(("", "image/png", "application/json")))
    content = st.one_of(mutated(originals), st.binary(max_size=64), values)
    match draw(st.sampled_from(("sample", "body", "json", "fields"))):
        case "sample":
            sample = draw(st.sampled_from(samples))
            return Request({**sample.fields, draw(names): draw(content)}, {**headers, **sample.headers}, "id")
        case "body":
            return Request({"body": draw(content)}, headers, "id")
        case "json":
            member = {draw(names): draw(values) for _ in range(draw(st.integers(0, 3)))}
            return Request({"body": json.dumps(member).encode()}, headers, "id")
    return Request({draw(names): draw(content) for _ in range(draw(st.integers(0, 3)))}, headers, "id")
