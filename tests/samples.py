"""What a user sends to each task: requests that are to be answered, and requests that are to be refused."""

import base64
import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.worker import Ask

JSON = {"content-type": "application/json"}


def picture(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (48, 32), **options) -> bytes:
    """The bytes of a picture of noise in the given Pillow mode and file format."""
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA").convert("L" if mode.startswith("I") else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 50,000 x 50,000."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


NUMBERS = [float(i) for i in range(13)]
BASE64 = base64.b64encode(picture()).decode()

GOOD = {
    "image_classification": {
        "raw body": Ask({"body": picture()}),
        "raw body, no content type, bytearray": Ask({"body": bytearray(picture())}),
        "form part": Ask({"image": bytearray(picture())}),
        "form part called data": Ask({"data": picture()}),
        "base64 in JSON": Ask({"body": {"image": BASE64}}, JSON),
        "base64 in JSON without a content type": Ask({"body": b'{"image": "%s"}' % BASE64.encode()}),
        "data URL": Ask({"body": {"image": "data:image/png;base64," + BASE64}}, JSON),
        "top as a form field": Ask({"image": picture(), "top": b"10"}),
        "top in the query": Ask({"body": picture()}, {"x-request-query": "top=10"}),
    },
    "text_classification": {
        "JSON": Ask({"body": {"text": "房间很好"}}, JSON),
        "plain body": Ask({"body": "房间很好".encode()}),
        "text/plain": Ask({"body": "房间很好"}, {"content-type": "text/plain"}),
        "JSON with a charset": Ask(
            {"body": '{"text": "房间很好"}'.encode()}, {"content-type": "application/json; charset=utf-8"}
        ),
        "form field": Ask({"text": "房间很好"}),
        "a text in brackets": Ask({"body": "[哈哈] 房间很好".encode()}),
        "emoji": Ask({"body": {"text": "😀😀"}}, JSON),
        "stop words alone": Ask({"body": {"text": "的"}}, JSON),
        "mixed scripts": Ask({"body": {"text": "WiFi 很好 ｇｏｏｄ"}}, JSON),
    },
    "tabular_regression": {
        "list": Ask({"body": {"features": NUMBERS}}, JSON),
        "bare list": Ask({"body": NUMBERS}, JSON),
        "object by column": Ask({"body": {"features": {f"C{i}": i for i in range(13)}}}, JSON),
        "without a content type": Ask({"body": b'{"features": [0,1,2,3,4,5,6,7,8,9,10,11,12]}'}),
    },
}

# name: (request, the field that the 400 names)
BAD = {
    "image_classification": {
        "truncated JPEG": (Ask({"body": picture(kind="JPEG")[:400]}), "image"),
        "truncated PNG": (Ask({"body": picture()[:400]}), "image"),
        "empty body": (Ask({"body": b""}), "image"),
        "no body": (Ask({}), "image"),
        "not an image": (Ask({"body": b"hello"}), "image"),
        "bomb": (Ask({"body": bomb()}), "image"),
        "wrong JSON": (Ask({"body": b'{"image": '}, JSON), "body"),
        "wrong member": (Ask({"body": {"picture": BASE64}}, JSON), "image"),
        "not base64": (Ask({"body": {"image": "%%%"}}, JSON), "image"),
        "a number": (Ask({"body": {"image": 7}}, JSON), "image"),
        "top 0": (Ask({"body": picture(), "top": b"0"}), "top"),
        "top x": (Ask({"body": picture(), "top": b"x"}), "top"),
    },
    "text_classification": {
        "1 MB": (Ask({"body": {"text": "好" * 350_000}}, JSON), "text"),
        "empty": (Ask({"body": {"text": ""}}, JSON), "text"),
        "empty body": (Ask({"body": b""}), "text"),
        "no body": (Ask({}), "text"),
        "spaces": (Ask({"body": {"text": " \n\t　"}}, JSON), "text"),
        "invalid UTF-8": (Ask({"body": b"\xff\xfe\x00abc"}), "text"),
        "wrong JSON": (Ask({"body": b'{"text": "x'}, JSON), "body"),
        "unlabelled wrong JSON": (Ask({"body": b'{"text": "x'}), "body"),
        "a list": (Ask({"body": ["好"]}, JSON), "text"),
        "null": (Ask({"body": {"text": None}}, JSON), "text"),
        "other member": (Ask({"body": {"txt": "好"}}, JSON), "text"),
    },
    "tabular_regression": {
        "12 numbers": (Ask({"body": {"features": NUMBERS[:12]}}, JSON), "features"),
        "14 numbers": (Ask({"body": {"features": [*NUMBERS, 1]}}, JSON), "features"),
        "NaN": (Ask({"body": {"features": [float("nan"), *NUMBERS[1:]]}}, JSON), "features.C0"),
        "infinity": (Ask({"body": {"features": [*NUMBERS[:12], float("inf")]}}, JSON), "features.C12"),
        "too large for a float": (Ask({"body": {"features": [10**400, *NUMBERS[1:]]}}, JSON), "features.C0"),
        "absurd": (Ask({"body": {"features": [1e30, *NUMBERS[1:]]}}, JSON), "features.C0"),
        "a string": (Ask({"body": {"features": ["1", *NUMBERS[1:]]}}, JSON), "features.C0"),
        "a boolean": (Ask({"body": {"features": [True, *NUMBERS[1:]]}}, JSON), "features.C0"),
        "null": (Ask({"body": {"features": None}}, JSON), "features"),
        "unknown column": (Ask({"body": {"features": {f"D{i}": i for i in range(13)}}}, JSON), "features"),
        "missing column": (Ask({"body": {"features": {"C1": 1}}}, JSON), "features"),
        "no body": (Ask({}), "features"),
        "wrong JSON": (Ask({"body": b"[1, 2"}, JSON), "body"),
    },
}

# One more of each task that goes well, to mix into batches.
FINE = {task: next(iter(asks.values())) for task, asks in GOOD.items()}
