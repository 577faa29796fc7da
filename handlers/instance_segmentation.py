"""Instance segmentation: images -> labelled boxes, each with the mask of its object."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchvision.utils import draw_segmentation_masks

from handlers.codecs.image import png
from handlers.object_detection import ObjectDetection
from handlers.response import BASE64, INTEGER, STRING, array, schema
from handlers.vision.detection import OBJECT, DetectionInput, draw_boxes
from handlers.vision.drawing import read_for_display
from handlers.vision.run_length_encoding import encode_masks
from models.parts.detection import Detections
from models.parts.masks import pasted

MASK = schema(size={**array(INTEGER), "minItems": 2, "maxItems": 2}, counts=STRING)
SEGMENT = {**OBJECT, **schema(**OBJECT["properties"], mask=MASK)}


class InstanceSegmentation(ObjectDetection):
    """Object detection with a mask for each object, in COCO's compressed run lengths: `size` is (height, width) of the
    image as sent. Explanations measure overlaps of masks, a detector's those of boxes.

    decode, collate, encode and explain are those of ObjectDetection, with these objects, images and overlaps.
    """

    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, objects=array(SEGMENT))
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=SEGMENT, heatmap=BASE64
    )

    def named(self, found: Detections, decoded: DetectionInput) -> list[dict[str, Any]]:
        """Return the objects with their masks, best first, as members of the response."""
        objects = super().named(found, decoded)
        shapes, boxes = (found[name][: len(objects)] for name in ("shapes", "boxes"))
        masks = encode_masks(shapes.numpy(), decoded.image.to_image(boxes).numpy(), decoded.image.size)
        return [{**one, "mask": mask} for one, mask in zip(objects, masks, strict=True)]

    def annotated(self, found: Detections, objects: Sequence[Mapping[str, Any]], decoded: DetectionInput) -> bytes:
        """Return the image as a PNG with the masks and boxes of `objects`, the first of those in `found`."""
        image, scale = read_for_display(decoded.file)  # (3, H, W)
        boxes = decoded.image.to_image(found["boxes"][: len(objects)]) * scale
        size = (image.shape[1], image.shape[2])
        masks = [pasted(shape[None], box[None], size) for shape, box in zip(found["shapes"], boxes, strict=False)]
        if masks:
            image = draw_segmentation_masks(image, torch.cat(masks), alpha=0.5)
        return png(draw_boxes(image, objects, scale))

    def overlaps(self, found: Detections, explained: Detections) -> Tensor:
        """Return the overlap of each mask in `found` with the one in `explained`: (M,), 0 to 1."""
        here, there = (
            pasted(one["shapes"], one["boxes"], (self.codec.size, self.codec.size)).flatten(1).float()
            for one in (found, explained)
        )
        shared = here @ there.T  # (M, 1)
        return (shared / (here.sum(dim=1, keepdim=True) + there.sum() - shared).clamp(min=1)).squeeze(1)
