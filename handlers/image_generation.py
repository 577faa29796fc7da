"""A seed, and a class if one is wanted -> new images."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torchvision.utils import make_grid

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.codecs.image import ImageCodec, png
from handlers.codecs.seed import Order
from handlers.replies import BASE64, INTEGER, STRING, Answer, array, schema
from handlers.row import Row


class ImageGeneration(TaskHandler[Order]):
    """The network takes normally distributed numbers and a class. The same seed, count and label give the same images;
    `labels` says what each of them is to show."""

    REQUEST: ClassVar[Mapping[str, Any]] = {"application/json": {"schema": {"type": "object"}}}
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, seed=INTEGER, labels=array(STRING), images=array(BASE64)
    )
    NOT_EXPLAINED = "an image that was made from random numbers has no reasons to show"

    def setup(self) -> None:
        self.codec = codecs.load(ImageCodec, self.folder)
        self.labels: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    def decode(self, row: Row) -> Order:
        return Order.of(row, self.card["network"]["latent"], self.labels)

    def collate(self, items: list[Order]) -> list[Tensor]:  # type: ignore[override]
        return [item.z for item in items]

    def forward(self, batch: list[Tensor]) -> Sequence[Tensor]:  # type: ignore[override]
        # Each order by itself: sums over another batch differ in their last bits, and a seed must always give the same.
        return [self.run(z) for z in batch]

    def encode(self, output: Tensor, item: Order) -> Reply:
        images = self.codec.pixels_of(output)  # (count, C, S, S)
        if item.as_png:  # one picture of all, side by side
            sheet = make_grid(images, nrow=math.ceil(len(images) ** 0.5), padding=0)
            return Answer(png(sheet), content_type="image/png")
        encoded = [base64.b64encode(png(image)).decode() for image in images]
        return {"seed": item.seed, "labels": item.labels, "images": encoded}
