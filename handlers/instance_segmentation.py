"""Images -> objects: what they are, where, and which pixels are theirs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.image import png, read_pixels
from handlers.detection import OBJECT, Item, boxed
from handlers.display import scaled
from handlers.object_detection import ObjectDetection
from handlers.replies import BASE64, INTEGER, STRING, array, schema
from handlers.run_lengths import fitting
from models.parts.detection import Detections
from models.parts.masks import pasted

MASK = schema(size={**array(INTEGER), "minItems": 2, "maxItems": 2}, counts=STRING)
SEGMENT = {**OBJECT, **schema(**OBJECT["properties"], mask=MASK)}


class InstanceSegmentation(ObjectDetection):
    """Object detection with a mask for each object, in COCO's compressed run lengths: `size` is (height, width) of the
    image as sent. What speaks for an object is measured by its mask, where a detector takes its box.
    """

    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, objects=array(SEGMENT))
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, target=SEGMENT, heatmap=BASE64)

    def named(self, found: Detections, item: Item) -> list[dict[str, Any]]:
        objects = super().named(found, item)
        shapes, boxes = (found[name][: len(objects)] for name in ("shapes", "boxes"))
        masks = fitting(shapes.numpy(), item.image.to_image(boxes).numpy(), item.image.size)
        return [{**one, "mask": mask} for one, mask in zip(objects, masks, strict=True)]

    def picture(self, found: Detections, objects: Sequence[Mapping[str, Any]], item: Item) -> bytes:
        image, scale = scaled(read_pixels(item.file, 3))  # (3, H, W)
        boxes = item.image.to_image(found["boxes"][: len(objects)]) * scale
        size = (image.shape[1], image.shape[2])
        masks = [pasted(shape[None], box[None], size) for shape, box in zip(found["shapes"], boxes, strict=False)]
        if masks:
            image = draw_segmentation_masks(image, torch.cat(masks), alpha=0.5)
        return png(boxed(image, objects, scale))

    def overlaps(self, found: Detections, about: Detections) -> Tensor:
        here, there = (
            pasted(one["shapes"], one["boxes"], (self.codec.size, self.codec.size)).flatten(1).float()
            for one in (found, about)
        )
        shared = here @ there.T  # (M, 1)
        return (shared / (here.sum(dim=1, keepdim=True) + there.sum() - shared).clamp(min=1)).squeeze(1)
