"""Videos -> classes."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from handlers import codecs
from handlers.classification import CLASS, ClassificationHandler, Item
from handlers.codecs.video import Clip, VideoCodec, video_bytes
from handlers.heatmap import heatmap
from handlers.replies import BASE64, NUMBER, STRING, array, schema, upload
from handlers.row import Row
from handlers.sheets import sheet


class VideoClassification(ClassificationHandler):
    """Explains by integrated gradients (arXiv:1703.01365) from the same clip standing still, each pixel at its mean
    over time: what they add up to is what motion says for the class. `frames` are counted as in the video."""

    REQUEST: ClassVar[Mapping[str, Any]] = upload("video", "video/*", "image/gif")
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=CLASS,
        convergence_delta=NUMBER,
        frames=array(schema(frame=NUMBER, weight=NUMBER)),
        heatmap=BASE64,
    )

    def setup(self) -> None:
        super().setup()
        self.codec = codecs.load(VideoCodec, self.folder)

    def decode(self, row: Row) -> Item[Clip]:
        return Item.of(row, self.codec.clip(video_bytes(row.field("video"))))

    def collate(self, items: list[Item[Clip]]) -> Tensor:
        return self.codec.normalize(torch.stack([item.input.pixels for item in items]))  # (N, 3, T, S, S)

    def attribute(self, item: Item[Clip], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        attributions, delta = IntegratedGradients(self.network).attribute(
            batch,
            baselines=batch.mean(dim=2, keepdim=True).expand_as(batch),
            target=target,
            n_steps=self.card["serving"]["explain_steps"],
            internal_batch_size=self.card["serving"]["batch_size"],
            return_convergence_delta=True,
        )
        weights = attributions[0].sum(dim=0).detach().cpu()  # channels summed: (T, S, S)
        picture = heatmap(sheet(item.input.pixels.transpose(0, 1)), sheet(weights.unsqueeze(1))[0])
        if item.as_png:
            return picture
        return {
            "convergence_delta": float(delta),
            "frames": [
                {"frame": place, "weight": round(weight, 6)}
                for place, weight in zip(item.input.places, weights.sum(dim=(1, 2)).tolist(), strict=True)
            ],
            "heatmap": base64.b64encode(picture).decode(),
        }
