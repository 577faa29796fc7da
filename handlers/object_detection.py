"""Object detection: images -> labelled boxes."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from captum.attr import Occlusion
from torch import Tensor
from torchvision.ops import box_iou

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.codecs.image import image_bytes, png
from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.whole_image import WholeImageCodec
from handlers.request import Request
from handlers.response import BASE64, IMAGE, STRING, Response, array, schema
from handlers.vision.detection import (
    OBJECT,
    DetectionInput,
    draw_boxes,
    explained_object,
    named_objects,
    single_detection,
)
from handlers.vision.drawing import heatmap, read_for_display
from models.parts.detection import Detections, Detector


class ObjectDetection(TaskHandler[DetectionInput]):
    """Explains by occlusion, as D-RISE does (arXiv:2006.03204): a patch of the image is covered, and the loss of the
    object, in score times overlap, is the attribution of the patch.

    Gradients would stop at the proposals of a two-stage network, and NMS has none; occlusion uses the network as
    predictions do, in its optimized form, and costs `explain_steps` squared predictions.
    """

    network: Detector
    request_schema: ClassVar[Mapping[str, Any]] = IMAGE
    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, objects=array(OBJECT))
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=OBJECT, heatmap=BASE64
    )

    def setup(self) -> None:
        """Load the codec and the label names."""
        self.codec = load_codec(self.folder)
        self.labels = self.label_names()

    def decode(self, request: Request) -> DetectionInput:
        """Return the image as the network gets it, with the request's options."""
        file = image_bytes(request.field("image"))
        return DetectionInput.from_request(request, file, self.codec.letterbox(file))

    def collate(self, inputs: list[DetectionInput]) -> Tensor:
        """Return the images as a batch, (N, 3, S, S), or (N, 3, H, W) for a network that scales them itself."""
        return self.codec.collate([decoded.image.pixels for decoded in inputs])

    def encode(self, output: Tensor, decoded: DetectionInput) -> ResponseLike:
        """Return the objects, best first, or the annotated image."""
        (found,) = self.network.detections(output.unsqueeze(0))
        objects = self.named(found, decoded)
        if decoded.as_png:
            return Response(self.annotated(found, objects, decoded), content_type="image/png")
        return {"objects": objects}

    def explain(self, decoded: DetectionInput, target: str | None) -> ResponseLike:
        """Return the heatmap of one object, of the class `target` if it is given."""
        batch = self.collate([decoded])
        with torch.inference_mode():
            (found,) = self.network.detections(self.forward(batch)[0].unsqueeze(0))
            objects = self.named(found, decoded)
            explained = explained_object(objects, decoded, target, self.labels)
            weights = self._occluded(batch, single_detection(found, objects.index(explained)))
        picture = heatmap(decoded.image.content(decoded.image.pixels), decoded.image.content(weights))
        if decoded.as_png:
            return Response(picture, content_type="image/png")
        return {"target": explained, "heatmap": base64.b64encode(picture).decode()}

    def named(self, found: Detections, decoded: DetectionInput) -> list[dict[str, Any]]:
        """Return the objects that the client wants, best first, as members of the response."""
        return named_objects(found, decoded, self.labels)

    def annotated(self, found: Detections, objects: Sequence[Mapping[str, Any]], decoded: DetectionInput) -> bytes:
        """Return the image as a PNG with `objects`, the first of those in `found`."""
        del found
        image, scale = read_for_display(decoded.file)  # (3, H, W)
        return png(draw_boxes(image, objects, scale))

    def overlaps(self, found: Detections, explained: Detections) -> Tensor:
        """Return the overlap of each object in `found` with the one in `explained`: (M,), 0 to 1."""
        return box_iou(found["boxes"], explained["boxes"]).squeeze(1)

    def _occluded(self, batch: Tensor, explained: Detections) -> Tensor:
        """Return the attributions, (H, W), positive where covering lowers the score of the one object in `explained`.

        batch: (1, 3, H, W).
        """

        def score(images: Tensor) -> Tensor:
            best = []
            for found in self.network.detections(self.optimized_network(images)):
                same = found["labels"] == explained["labels"]
                scores = self.overlaps(found, explained) * found["scores"] * same
                best.append(torch.cat([scores, scores.new_zeros(1)]).amax())  # nothing may be left
            return torch.stack(best)  # (N,)

        steps = self.card["serving"]["explain_steps"] + 1
        down, right = (max(1, side // steps) for side in batch.shape[-2:])
        weights = Occlusion(score).attribute(
            batch,
            sliding_window_shapes=(3, 2 * down, 2 * right),  # half over the next one, for a smooth heatmap
            strides=(3, down, right),
            baselines=self.codec.cover,
            perturbations_per_eval=self.card["serving"]["batch_size"],
        )
        return weights[0, 0]  # equal in all channels, which are covered together


def load_codec(folder: Path) -> LetterboxCodec:
    """Return the codec in `folder`: a LetterboxCodec, or a WholeImageCodec for networks that scale images themselves.

    Both have `letterbox`, `collate` and `cover`.
    """
    if "size" in json.loads((folder / codecs.FILE).read_text(encoding="utf-8")):
        return codecs.load(LetterboxCodec, folder)
    return codecs.load(WholeImageCodec, folder)  # type: ignore[return-value]
