"""Images -> the class of each pixel."""

import base64
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import Reply
from handlers.codecs.image import image_bytes
from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.mask import classes_at, mask_png
from handlers.image_task import ImageTaskHandler, Item
from handlers.masks import Photo, asked, painted, pixels_of, shares
from handlers.replies import BASE64, NUMBER, STRING, Answer, array, schema
from handlers.row import Row

CLASS = schema(label=STRING, share=NUMBER, probability=NUMBER)


class SemanticSegmentation(ImageTaskHandler[Photo]):
    """Outputs are logits (N, classes, S, S). A mask is a palette PNG of the size of the image as sent, whose pixels are
    places in `labels`.

    Explains what speaks for the class `target`, on the way from an image of the mean colour: the score is the mean of
    its logits over the pixels that it has in the mask.
    """

    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        classes={"type": "object", "additionalProperties": NUMBER},
        labels=array(STRING),
        mask=BASE64,
    )
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=CLASS, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        self.codec = codecs.load(LetterboxCodec, self.folder)
        self.labels: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    def decode(self, row: Row) -> Item[Photo]:
        file = image_bytes(row.field("image"))
        return Item.of(row, Photo(file, self.codec.letterbox(file)))

    def collate(self, items: list[Item[Photo]]) -> Tensor:
        return self.codec.normalize(torch.stack([item.input.image.pixels for item in items]))  # (N, 3, S, S)

    def encode(self, output: Tensor, item: Item[Photo]) -> Reply:
        image = item.input.image
        scores = image.content(output)  # (classes, h, w)
        if item.as_png:
            return Answer(painted(item.input.file, scores, self.labels), content_type="image/png")
        mask = classes_at(scores, image.size)
        encoded = base64.b64encode(mask_png(mask)).decode()
        return {"classes": shares(mask, self.labels), "labels": self.labels, "mask": encoded}

    def explain(self, item: Item[Photo], target: str | None) -> Reply:
        image, batch = item.input.image, self.collate([item])
        with torch.inference_mode():
            scores = image.content(self.forward(batch)[0])  # (classes, h, w)
        found = shares(classes_at(scores, image.size), self.labels)
        label = asked(found, target, self.labels)
        number = self.labels.index(label)
        own = pixels_of(scores, number).to(self.device)  # (h, w)

        def score(contents: Tensor) -> Tensor:
            """(N, 3, h, w) -> (N,): beside the image stays the mean colour, which says nothing for or against it."""
            return image.content(self.network(image.placed(contents))[:, number])[:, own].mean(dim=1)

        content = image.content(batch).to(self.device)
        reply = self.attributed(image.content(image.pixels), content, 0.0, score, item.as_png)
        if isinstance(reply, Answer):
            return reply
        probability = float(scores.softmax(dim=0)[number][own.cpu()].mean())
        return {"target": {"label": label, "share": found[label], "probability": round(probability, 6)}, **reply}
