"""Image tagging: images -> any number of labels, each with a probability of its own."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import NOT_FINITE, ResponseLike, TaskHandler
from handlers.classification import CLASS, MAX_NAMES
from handlers.codecs.image import ImageCodec, image_bytes
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BASE64, IMAGE, NUMBER, STRING, Response, array, schema
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.vision.drawing import heatmap
from handlers.vision.tags import TaggingInput, tags_over


class ImageTagging(TaskHandler[TaggingInput]):
    """Outputs are logits, (N, labels); the option `threshold` is the lowest probability of a tag, 0.5 if not given.

    Explains the logit of one label by integrated gradients from a black image (arXiv:1703.01365).
    """

    request_schema: ClassVar[Mapping[str, Any]] = IMAGE
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, tags=array(CLASS), threshold=NUMBER
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=CLASS, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        """Load the label names and the codec."""
        self.labels = self.label_names()
        self.codec = codecs.load(ImageCodec, self.folder)

    def decode(self, request: Request) -> TaggingInput:
        """Return the pixels of the image, with the request's options."""
        return TaggingInput.from_request(request, self.codec.pixels(image_bytes(request.field("image"))))

    def collate(self, inputs: list[TaggingInput]) -> Tensor:
        """Return the normalized images, (N, C, S, S)."""
        return self.codec.normalize(torch.stack([decoded.pixels for decoded in inputs]))

    def encode(self, output: Tensor, decoded: TaggingInput) -> ResponseLike:
        """Return the tags over the threshold, the most probable first; output: (labels,)."""
        if not output.isfinite().all():
            return NOT_FINITE
        tags = tags_over(output.sigmoid(), self.labels, decoded.threshold)
        return {"tags": tags, "threshold": decoded.threshold}

    def explain(self, decoded: TaggingInput, target: str | None) -> ResponseLike:
        """Return the heatmap of the label `target`, or of the most probable one."""
        batch = self.collate([decoded]).to(self.device)
        with torch.inference_mode():
            probabilities = self.network(batch)[0].sigmoid()
        number = int(probabilities.argmax()) if target is None else self._number_of(target)
        attributions, delta = integrated_gradients(
            self.network,
            batch,
            self.codec.normalize(torch.zeros_like(decoded.pixels)).unsqueeze(0).to(self.device),  # black
            steps=self.card["serving"]["explain_steps"],
            batch_size=self.card["serving"]["batch_size"],
            target=number,
        )
        picture = heatmap(decoded.pixels, attributions[0].sum(dim=0).detach().cpu())  # channels summed: (S, S)
        if decoded.as_png:
            return Response(picture, content_type="image/png")
        named = {"label": self.labels[number], "probability": round(float(probabilities[number]), 6)}
        return {"target": named, "convergence_delta": delta, "heatmap": base64.b64encode(picture).decode()}

    def _number_of(self, target: str) -> int:
        if target not in self.labels:
            names = ", ".join(self.labels[:MAX_NAMES]) + (", ..." if len(self.labels) > MAX_NAMES else "")
            raise BadRequest("target", f"no label {target!r}; there are: {names}")
        return self.labels.index(target)
