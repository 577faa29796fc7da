"""Video classification: videos -> classes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from handlers.codecs.video import MAGIC, VideoCodec
from marina.training.data.augmentation import Augmentation
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest
from marina.training.tasks.common.classification import Classification

CONTENT_TYPES = {"avi": "video/x-msvideo", "mov": "video/mp4", "matroska": "video/webm", "gif": "image/gif"}


class VideoClassification(Classification):
    """Clips lie in memory as (N, 3, T, S, S) of uint8. Augmentation is the same for all frames of a clip."""

    codec: VideoCodec

    def prepare(self) -> None:
        self.codec = VideoCodec(**self.card.input)
        self.augment = Augmentation(self.recipe.augment, self.codec.size)
        self.arguments = {"num_classes": len(self.data.labels)}

    def encode(self, split: Split) -> Examples:
        clips = torch.stack([self.codec.clip(file).pixels for file in split.inputs])
        return Examples(clips, torch.tensor(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        if self.training:
            batch = self.augment(batch.transpose(1, 2)).transpose(1, 2)  # torchvision wants (N, T, C, S, S)
        return self.codec.normalize(batch)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, target in zip(data.test.inputs, data.test.targets, strict=True):
            kind = next(kind for start, magic, kind in MAGIC if file[start : start + len(magic)] == magic)
            yield EvaluationRequest(file, CONTENT_TYPES[kind], data.labels[target])
