"""Image generation: a seed, and a class if one is requested -> new images."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torchvision.utils import make_grid

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.codecs.image import ImageCodec, png
from handlers.codecs.latent import LatentInput
from handlers.request import Request
from handlers.response import BASE64, INTEGER, STRING, Response, array, schema


class ImageGeneration(TaskHandler[LatentInput]):
    """The network takes normally distributed numbers and a class. The same seed, count and label give the same images;
    `labels` holds the class that each of them is to show.
    """

    request_schema: ClassVar[Mapping[str, Any]] = {"application/json": {"schema": {"type": "object"}}}
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, seed=INTEGER, labels=array(STRING), images=array(BASE64)
    )
    no_explanation_reason = "an image that was made from random numbers has no reasons to show"

    def setup(self) -> None:
        """Load the codec and the label names."""
        self.codec = codecs.load(ImageCodec, self.folder)
        self.labels = self.label_names()

    def decode(self, request: Request) -> LatentInput:
        """Return the random numbers of the request's seed."""
        return LatentInput.from_request(request, self.card["network"]["latent"], self.labels)

    def collate(self, inputs: list[LatentInput]) -> list[Tensor]:  # type: ignore[override]
        """Return the random numbers of each request, (count, latent + classes)."""
        return [decoded.z for decoded in inputs]

    def forward(self, batch: list[Tensor]) -> Sequence[Tensor]:  # type: ignore[override]
        """Return the images of each request, (count, C, S, S).

        Each request is computed by itself: sums over another batch differ in their last bits, and a seed must always
        give the same images.
        """
        return [self.optimized_network(z) for z in batch]

    def encode(self, output: Tensor, decoded: LatentInput) -> ResponseLike:
        """Return the images, or one PNG of all of them side by side."""
        images = self.codec.pixels_of(output)  # (count, C, S, S)
        if decoded.as_png:
            sheet = make_grid(images, nrow=math.ceil(len(images) ** 0.5), padding=0)
            return Response(png(sheet), content_type="image/png")
        encoded = [base64.b64encode(png(image)).decode() for image in images]
        return {"seed": decoded.seed, "labels": decoded.labels, "images": encoded}
