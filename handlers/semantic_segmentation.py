"""Semantic segmentation: images -> the class of each pixel."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike
from handlers.codecs.image import image_bytes
from handlers.codecs.letterbox import LetterboxCodec
from handlers.codecs.segmentation_mask import classes_at, mask_png
from handlers.request import Request
from handlers.response import BASE64, NUMBER, STRING, Response, array, schema
from handlers.vision.class_masks import SegmentationInput, class_pixels, class_shares, draw_class_masks, explained_class
from handlers.vision.image_handler import ImageExplanationHandler, ImageInput

CLASS = schema(label=STRING, share=NUMBER, probability=NUMBER)


class SemanticSegmentation(ImageExplanationHandler[SegmentationInput]):
    """Outputs are logits, (N, classes, S, S). A mask is a palette PNG of the size of the image as sent, whose pixels
    are indices of `labels`.

    Explains the class `target` on the way from an image of the mean colour: the score is the mean of its logits over
    the pixels that it has in the mask.
    """

    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        classes={"type": "object", "additionalProperties": NUMBER},
        labels=array(STRING),
        mask=BASE64,
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=CLASS, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        """Load the codec and the label names."""
        self.codec = codecs.load(LetterboxCodec, self.folder)
        self.labels = self.label_names()

    def decode(self, request: Request) -> ImageInput[SegmentationInput]:
        """Return the image as sent and in the network's square."""
        file = image_bytes(request.field("image"))
        return ImageInput.from_request(request, SegmentationInput(file, self.codec.letterbox(file)))

    def collate(self, inputs: list[ImageInput[SegmentationInput]]) -> Tensor:
        """Return the normalized images, (N, 3, S, S)."""
        return self.codec.normalize(torch.stack([decoded.value.image.pixels for decoded in inputs]))

    def encode(self, output: Tensor, decoded: ImageInput[SegmentationInput]) -> ResponseLike:
        """Return the mask and the share of each class, or the image with the mask drawn over it."""
        image = decoded.value.image
        scores = image.content(output)  # (classes, h, w)
        if decoded.as_png:
            return Response(draw_class_masks(decoded.value.file, scores, self.labels), content_type="image/png")
        mask = classes_at(scores, image.size)
        encoded = base64.b64encode(mask_png(mask)).decode()
        return {"classes": class_shares(mask, self.labels), "labels": self.labels, "mask": encoded}

    def explain(self, decoded: ImageInput[SegmentationInput], target: str | None) -> ResponseLike:
        """Return the heatmap of one class of the mask."""
        image, batch = decoded.value.image, self.collate([decoded])
        with torch.inference_mode():
            scores = image.content(self.forward(batch)[0])  # (classes, h, w)
        found = class_shares(classes_at(scores, image.size), self.labels)
        label = explained_class(found, target, self.labels)
        number = self.labels.index(label)
        own = class_pixels(scores, number).to(self.device)  # (h, w)

        def score(contents: Tensor) -> Tensor:
            """(N, 3, h, w) -> (N,): the rest of the square stays the mean colour, which is neutral for the class."""
            return image.content(self.network(image.placed(contents))[:, number])[:, own].mean(dim=1)

        content = image.content(batch).to(self.device)
        explanation = self.explain_score(image.content(image.pixels), content, 0.0, score, decoded.as_png)
        if isinstance(explanation, Response):
            return explanation
        probability = float(scores.softmax(dim=0)[number][own.cpu()].mean())
        named = {"label": label, "share": found[label], "probability": round(probability, 6)}
        return {"target": named, **explanation}
