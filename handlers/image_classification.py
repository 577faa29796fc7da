"""Image classification: images -> classes."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.classification import CLASS, ClassificationHandler, TopKInput
from handlers.codecs.image import ImageCodec, image_bytes
from handlers.request import Request
from handlers.response import BASE64, IMAGE, NUMBER, STRING, schema
from handlers.runtime.ablation import feature_ablation
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.vision.drawing import heatmap


class ImageClassification(ClassificationHandler):
    """Inputs are (C, S, S) of uint8. Explains by integrated gradients from a black image (arXiv:1703.01365), or by
    feature ablation if the network has no gradients.
    """

    request_schema: ClassVar[Mapping[str, Any]] = IMAGE
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=CLASS, method=STRING, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        """Load the label names and the codec."""
        super().setup()
        self.codec = codecs.load(ImageCodec, self.folder)

    def decode(self, request: Request) -> TopKInput[Tensor]:
        """Return the pixels of the image, with the request's options."""
        return TopKInput.from_request(request, self.codec.pixels(image_bytes(request.field("image"))))

    def collate(self, inputs: list[TopKInput[Tensor]]) -> Tensor:
        """Return the normalized images, (N, C, S, S)."""
        return self.codec.normalize(torch.stack([decoded.value for decoded in inputs]))

    def attribute(self, decoded: TopKInput[Tensor], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        """Return the heatmap of the class `target`."""
        method = integrated_gradients if getattr(self.network, "differentiable", True) else feature_ablation
        attributions, delta = method(
            self.network,
            batch,
            self.codec.normalize(torch.zeros_like(decoded.value)).unsqueeze(0).to(self.device),  # black
            steps=self.card["serving"]["explain_steps"],
            batch_size=self.card["serving"]["batch_size"],
            target=target,
        )
        picture = heatmap(decoded.value, attributions[0].sum(dim=0).detach().cpu())  # channels summed: (S, S)
        if decoded.as_png:
            return picture
        return {"method": method.__name__, "convergence_delta": delta, "heatmap": base64.b64encode(picture).decode()}
