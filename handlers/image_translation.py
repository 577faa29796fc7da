"""An image of one domain -> the same image as the other domain would have it."""

import base64
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.codecs.image import image_bytes, png
from handlers.codecs.letterbox import LetterboxCodec, Letterboxed
from handlers.errors import BadRequest
from handlers.image_task import Item
from handlers.replies import BASE64, IMAGE, STRING, Answer, schema
from handlers.row import Row


class ImageTranslation(TaskHandler[Item[tuple[Letterboxed, int]]]):
    """The option `to` names the domain to translate to, the last one if it is not given. What comes back is the whole
    image in its own proportions, its longer side as many pixels as the network takes."""

    REQUEST: ClassVar[Mapping[str, Any]] = IMAGE
    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, to=STRING, image=BASE64)
    NOT_EXPLAINED = "a translation is an image, not a decision; translated back, it shows what was kept of the original"

    def setup(self) -> None:
        self.codec = codecs.load(LetterboxCodec, self.folder)
        self.labels: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    def decode(self, row: Row) -> Item[tuple[Letterboxed, int]]:
        to = row.option("to")
        if to is not None and to not in self.labels:
            raise BadRequest("to", f"not one of {', '.join(self.labels)}")
        image = self.codec.letterbox(image_bytes(row.field("image")))
        return Item.of(row, (image, len(self.labels) - 1 if to is None else self.labels.index(to)))

    def collate(self, items: list[Item[tuple[Letterboxed, int]]]) -> Tensor:
        return self.codec.normalize(torch.stack([item.input[0].pixels for item in items]))  # (N, 3, S, S)

    def encode(self, output: Tensor, item: Item[tuple[Letterboxed, int]]) -> Reply:
        image, to = item.input
        picture = png(self.codec.pixels_of(image.content(output[to])))  # output: a translation to each domain
        if item.as_png:
            return Answer(picture, content_type="image/png")
        return {"to": self.labels[to], "image": base64.b64encode(picture).decode()}
