"""Images -> objects: what they are, and where."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from captum.attr import Occlusion
from torch import Tensor
from torchvision.ops import box_iou

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.codecs.image import image_bytes, png, read_pixels
from handlers.codecs.letterbox import LetterboxCodec
from handlers.detection import OBJECT, Item, alone, boxed, chosen, objects
from handlers.display import scaled
from handlers.heatmap import heatmap
from handlers.replies import BASE64, IMAGE, STRING, Answer, array, schema
from handlers.row import Row
from models.parts.detection import Detections, Detector


class ObjectDetection(TaskHandler[Item]):
    """Explains by occlusion, as D-RISE does (arXiv:2006.03204): a patch of the image is covered, and what the object
    loses by it, in score times overlap, speaks for it.

    Gradients would stop at the proposals of a two-stage network, and NMS has none; this asks the network as callers
    do, on its fast path, and costs `explain_steps` squared predictions.
    """

    network: Detector
    REQUEST: ClassVar[Mapping[str, Any]] = IMAGE
    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, objects=array(OBJECT))
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, target=OBJECT, heatmap=BASE64)

    def setup(self) -> None:
        self.codec = codecs.load(LetterboxCodec, self.folder)
        self.labels: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))

    def decode(self, row: Row) -> Item:
        file = image_bytes(row.field("image"))
        return Item.of(row, file, self.codec.letterbox(file))

    def collate(self, items: list[Item]) -> Tensor:
        return self.codec.normalize(torch.stack([item.image.pixels for item in items]))  # (N, 3, S, S)

    def encode(self, output: Tensor, item: Item) -> Reply:
        (found,) = self.network.detections(output.unsqueeze(0))
        objects = self.named(found, item)
        if item.as_png:
            return Answer(self.picture(found, objects, item), content_type="image/png")
        return {"objects": objects}

    def explain(self, item: Item, target: str | None) -> Reply:
        batch = self.collate([item])
        with torch.inference_mode():
            (found,) = self.network.detections(self.forward(batch)[0].unsqueeze(0))
            objects = self.named(found, item)
            about = chosen(objects, item, target, self.labels)
            weights = self._occluded(batch, alone(found, objects.index(about)))
        picture = heatmap(item.image.content(item.image.pixels), item.image.content(weights))
        if item.as_png:
            return Answer(picture, content_type="image/png")
        return {"target": about, "heatmap": base64.b64encode(picture).decode()}

    def named(self, found: Detections, item: Item) -> list[dict[str, Any]]:
        """What was found, best first, as far as the caller wants to know: the members of the reply."""
        return objects(found, item, self.labels)

    def picture(self, found: Detections, objects: Sequence[Mapping[str, Any]], item: Item) -> bytes:
        """The image as a PNG, with `objects`, the first of those that were found."""
        del found
        image, scale = scaled(read_pixels(item.file, 3))  # (3, H, W)
        return png(boxed(image, objects, scale))

    def overlaps(self, found: Detections, about: Detections) -> Tensor:
        """How far each object that was found, (M,), is where the one in `about` is: 0 to 1."""
        return box_iou(found["boxes"], about["boxes"]).squeeze(1)

    def _occluded(self, batch: Tensor, about: Detections) -> Tensor:
        """batch: (1, 3, S, S), about: one object -> (S, S), positive where covering takes from the score of it."""

        def score(images: Tensor) -> Tensor:
            likest = []
            for one in self.network.detections(self.run(images)):
                same = one["labels"] == about["labels"]
                scores = self.overlaps(one, about) * one["scores"] * same
                likest.append(torch.cat([scores, scores.new_zeros(1)]).amax())  # nothing may be left
            return torch.stack(likest)  # (N,)

        stride = max(1, batch.shape[-1] // (self.card["serving"]["explain_steps"] + 1))
        weights = Occlusion(score).attribute(
            batch,
            sliding_window_shapes=(3, 2 * stride, 2 * stride),  # half over the next one: smooth enough to look at
            strides=(3, stride, stride),
            baselines=0,  # the mean colour
            perturbations_per_eval=self.card["serving"]["batch_size"],
        )
        return weights[0, 0]  # alike in all channels, which are covered together
