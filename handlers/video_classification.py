"""Video classification: videos -> classes."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.classification import CLASS, ClassificationHandler, TopKInput
from handlers.codecs.video import Clip, VideoCodec, video_bytes
from handlers.request import Request
from handlers.response import BASE64, NUMBER, STRING, array, schema, upload
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.vision.drawing import contact_sheet, heatmap


class VideoClassification(ClassificationHandler):
    """Explains by integrated gradients (arXiv:1703.01365) from the same clip standing still, each pixel at its mean
    over time: the attributions add up to the contribution of motion to the class. `frames` are counted as in the video.
    """

    request_schema: ClassVar[Mapping[str, Any]] = upload("video", "video/*", "image/gif")
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=CLASS,
        convergence_delta=NUMBER,
        frames=array(schema(frame=NUMBER, weight=NUMBER)),
        heatmap=BASE64,
    )

    def setup(self) -> None:
        """Load the label names and the codec."""
        super().setup()
        self.codec = codecs.load(VideoCodec, self.folder)

    def decode(self, request: Request) -> TopKInput[Clip]:
        """Return the frames of the video that the network takes, with the request's options."""
        return TopKInput.from_request(request, self.codec.clip(video_bytes(request.field("video"))))

    def collate(self, inputs: list[TopKInput[Clip]]) -> Tensor:
        """Return the normalized clips, (N, 3, T, S, S)."""
        return self.codec.normalize(torch.stack([decoded.value.pixels for decoded in inputs]))

    def attribute(self, decoded: TopKInput[Clip], batch: Tensor, target: int) -> Mapping[str, Any] | bytes:
        """Return the heatmap and the weight of each frame for the class `target`."""
        attributions, delta = integrated_gradients(
            self.network,
            batch,
            batch.mean(dim=2, keepdim=True).expand_as(batch),
            steps=self.card["serving"]["explain_steps"],
            batch_size=self.card["serving"]["batch_size"],
            target=target,
        )
        weights = attributions[0].sum(dim=0).detach().cpu()  # channels summed: (T, S, S)
        picture = heatmap(contact_sheet(decoded.value.pixels.transpose(0, 1)), contact_sheet(weights.unsqueeze(1))[0])
        if decoded.as_png:
            return picture
        return {
            "convergence_delta": delta,
            "frames": [
                {"frame": frame, "weight": round(weight, 6)}
                for frame, weight in zip(decoded.value.places, weights.sum(dim=(1, 2)).tolist(), strict=True)
            ],
            "heatmap": base64.b64encode(picture).decode(),
        }
