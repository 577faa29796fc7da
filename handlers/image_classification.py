"""Images -> classes."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from handlers import codecs
from handlers.classification import CLASS, ClassificationHandler, Item
from handlers.codecs.image import ImageCodec, image_bytes
from handlers.heatmap import heatmap
from handlers.replies import BASE64, IMAGE, NUMBER, STRING, schema
from handlers.row import Row


class ImageClassification(ClassificationHandler):
    """Item.input is (C, S, S) of uint8. Explains by integrated gradients from a black image (arXiv:1703.01365)."""

    REQUEST: ClassVar[Mapping[str, Any]] = IMAGE
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=CLASS, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        super().setup()
        self.codec = codecs.load(ImageCodec, self.folder)

    def decode(self, row: Row) -> Item[Tensor]:
        return Item.of(row, self.codec.pixels(image_bytes(row.field("image"))))

    def collate(self, items: list[Item[Tensor]]) -> Tensor:
        return self.codec.normalize(torch.stack([item.input for item in items]))  # (N, C, S, S)

    def attribute(self, item: Item[Tensor], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        black = self.codec.normalize(torch.zeros_like(item.input)).unsqueeze(0).to(self.device)
        attributions, delta = IntegratedGradients(self.network).attribute(
            batch,
            baselines=black,
            target=target,
            n_steps=self.card["serving"]["explain_steps"],
            internal_batch_size=self.card["serving"]["batch_size"],
            return_convergence_delta=True,
        )
        picture = heatmap(item.input, attributions[0].sum(dim=0).detach().cpu())  # channels summed: (S, S)
        if item.as_png:
            return picture
        return {"convergence_delta": float(delta), "heatmap": base64.b64encode(picture).decode()}
