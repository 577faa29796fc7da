"""Images -> the class of each pixel."""

import torch
from torch import Tensor

from handlers.codecs.letterbox import LetterboxCodec
from tests.support.samples import picture
from tests.support.worker import SampleRequest
from tests.tasks import image_classification
from tests.tasks.common import images

LABELS = ["background", *(str(digit) for digit in range(10))]
SHAPE = (len(LABELS), 256, 256)


def facts(card):
    return LetterboxCodec(**card.input), {"num_classes": len(LABELS)}, LABELS


def inputs(codec, arguments, count) -> Tensor:
    size = (count, 3, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    return [response["classes"].get(label, 0.0) for label in response["labels"]]


# Accepts images in the same forms as a classifier.
GOOD = {
    **{case: request for case, request in image_classification.GOOD.items() if not case.startswith("top")},
    "a strip": SampleRequest({"body": picture(size=(3000, 2))}),
    "one pixel": SampleRequest({"body": picture(size=(1, 1))}),
    "a grey JPEG": SampleRequest({"body": picture("L", "JPEG")}),
    "transparent": SampleRequest({"body": picture("RGBA")}),
}

BAD = images.BAD

EXPORTED = ("example.png", "image/png", picture())
