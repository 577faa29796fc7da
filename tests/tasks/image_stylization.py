"""A picture and a style -> the picture in that style."""

import base64
import json

import torch
from torch import Tensor

from handlers.codecs.style import StyleCodec
from tests.support.samples import BASE64, bomb, picture
from tests.support.worker import JSON, SampleRequest
from tests.tasks.common import images

PHOTO, OTHER = picture(size=(48, 32)), picture("L", size=(40, 50))
STYLES = {"noise": BASE64, "grey": base64.b64encode(OTHER).decode()}
FEW = {"steps": 1, "size": 64}
SHAPE = (139_264,)  # features of 32 x 32 pixels: 64 * 32 ** 2 + 128 * 16 ** 2 + 2 * 256 * 8 ** 2 + 512 * 4 ** 2


def facts(card):
    return StyleCodec(**card.input, styles=STYLES), {}, []


def inputs(codec, arguments, count) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8))


def numbers(response) -> list[int]:
    """Return the bytes of the picture, which do not depend on the rest of the batch."""
    return list(base64.b64decode(response["image"]))


def stylization_request(**more) -> SampleRequest:
    return SampleRequest({"body": {"image": BASE64, "style": "grey", **FEW, **more}}, JSON)


GOOD = {
    "a style by its name": stylization_request(),
    "a style of one's own": stylization_request(style=STYLES["noise"]),
    "a data URL": stylization_request(style="data:image/png;base64," + STYLES["grey"]),
    "two form parts": SampleRequest({"image": PHOTO, "style": bytearray(OTHER), "steps": b"2", "size": b"64"}),
    "a name as a form part": SampleRequest({"image": PHOTO, "style": b"grey", "steps": b"1", "size": b"64"}),
    "raw, the rest in the query": SampleRequest({"body": PHOTO}, {"x-request-query": "style=grey&steps=1&size=64"}),
    "stream is not": stylization_request(stream=False),
}

# name: (request, the field that the 400 names)
BAD = images.BAD | {
    "no style": (SampleRequest({"image": PHOTO}), "style"),
    "no style beside a raw image": (SampleRequest({"body": PHOTO}), "style"),
    "unknown style": (stylization_request(style="monet"), "style"),
    "unknown style in the query": (
        SampleRequest({"body": PHOTO}, {"x-request-query": "style=" + "monet" * 20}),
        "style",
    ),
    "empty style": (SampleRequest({"image": PHOTO, "style": b""}), "style"),
    "a style that is a text": (
        SampleRequest({"image": PHOTO, "style": b"like van Gogh, but with more blue " * 3}),
        "style",
    ),
    "a style that is cut short": (SampleRequest({"image": PHOTO, "style": OTHER[:200]}), "style"),
    "a style that is a bomb": (SampleRequest({"image": PHOTO, "style": bomb() + b"\0" * 64}), "style"),
    "a style that is a number": (stylization_request(style=7), "style"),
    "0 steps": (stylization_request(steps=0), "steps"),
    "-1 steps": (stylization_request(steps=-1), "steps"),
    "10,000 steps": (stylization_request(steps=10_000), "steps"),
    "x steps": (stylization_request(steps="x"), "steps"),
    "half a step": (stylization_request(steps=0.5), "steps"),
    "too small": (stylization_request(size=8), "size"),
    "too large": (stylization_request(size=4096), "size"),
    "a long strip": (SampleRequest({"image": picture(size=(300, 10)), "style": b"noise"}), "image"),
}

EXPORTED = ("example.json", "application/json", json.dumps({"image": BASE64, "style": "noise", **FEW}).encode())
