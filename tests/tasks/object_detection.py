"""Images -> objects."""

import torch
from torch import Tensor

from handlers.codecs.letterbox import LetterboxCodec
from tests.support.samples import picture
from tests.support.worker import SampleRequest
from tests.tasks import image_classification

__all__ = ["BAD", "GOOD", "facts", "inputs", "loss", "numbers"]

ALL = {"threshold": b"0", "top": b"3"}  # a network with random weights has low scores


def facts(card):
    labels = [str(digit) for digit in range(10)]
    return LetterboxCodec(**card.input), {"num_classes": 10, "size": card.input["size"]}, labels


def inputs(codec, arguments, count) -> Tensor:
    size = (count, 3, codec.size, codec.size)
    generator = torch.Generator().manual_seed(1)
    return codec.normalize(torch.randint(0, 256, size, generator=generator, dtype=torch.uint8))


def numbers(response) -> list[float]:
    return [found["score"] for found in response["objects"]]


def loss(network, batch) -> Tensor:
    """Return the training loss, with one object in each image except the first, which has none."""
    targets = [{"boxes": torch.tensor([[20.0, 30, 60, 80]]), "labels": torch.tensor([3])} for _ in batch]
    targets[0] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return torch.stack(list(network.losses(batch, targets).values())).sum()


# A detector accepts images in the same forms as a classifier, but has other options.
GOOD = {
    "all, however unsure": SampleRequest({"body": picture(), **ALL}),
    **{case: request for case, request in image_classification.GOOD.items() if not case.startswith("top")},
    "threshold in the query": SampleRequest({"body": picture()}, {"x-request-query": "threshold=0.05&top=2"}),
    "a strip": SampleRequest({"body": picture(size=(3000, 2)), **ALL}),
    "one pixel": SampleRequest({"body": picture(size=(1, 1)), **ALL}),
    "a grey JPEG": SampleRequest({"body": picture("L", "JPEG"), **ALL}),
}

# name: (request, the field that the 400 names)
BAD = {
    **image_classification.BAD,
    **{
        f"threshold {value!r}": (SampleRequest({"body": picture(), "threshold": value}), "threshold")
        for value in (b"", b"x", b"nan", b"2")
    },
    "object -1": (SampleRequest({"body": picture(), "object": b"-1"}), "object"),
    "top of 30 digits": (SampleRequest({"body": picture(), "top": b"9" * 30}), "top"),
}

EXPORTED = ("example.png", "image/png", picture())
